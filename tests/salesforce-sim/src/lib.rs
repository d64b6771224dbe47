//! A Salesforce simulator for user administration: SOAP and OAuth sign-in, REST, SOQL, collections, passwords.
