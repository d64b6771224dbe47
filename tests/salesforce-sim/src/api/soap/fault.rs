//! SOAP faults in the shape real orgs send them.

use std::borrow::Cow;

use quick_xml::escape::escape;

use super::Dialect;
use crate::problem::Problem;

/// Why a SOAP call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    code: Cow<'static, str>,
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The service understood the call and refuses it.
    Api,
    /// A refused login.
    Login,
    /// The call is no proper SOAP.
    Client,
}

impl Fault {
    pub(super) fn new(code: &'static str, text: &str) -> Self {
        Self { code: Cow::Borrowed(code), text: text.to_owned(), kind: Kind::Api }
    }

    pub(super) fn login(code: impl Into<Cow<'static, str>>, text: &str) -> Self {
        Self { code: code.into(), text: text.to_owned(), kind: Kind::Login }
    }

    pub(super) fn client(text: &str) -> Self {
        Self { code: Cow::Borrowed(""), text: text.to_owned(), kind: Kind::Client }
    }

    /// The clients look for `sf:exceptionCode` literally, so the prefixes matter.
    pub(super) fn envelope(&self, dialect: Dialect) -> String {
        let (code, text) = (escape(self.code.as_ref()), escape(self.text.as_str()));
        let open = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
             xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:sf=\"urn:fault.{}.soap.sforce.com\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
             <soapenv:Body><soapenv:Fault>",
            dialect.name
        );
        let close = "</soapenv:Fault></soapenv:Body></soapenv:Envelope>";
        let element = match self.kind {
            Kind::Client => {
                return format!("{open}<faultcode>soapenv:Client</faultcode><faultstring>{text}</faultstring>{close}");
            }
            Kind::Api => "UnexpectedErrorFault",
            Kind::Login => "LoginFault",
        };
        format!(
            "{open}<faultcode>sf:{code}</faultcode><faultstring>{code}: {text}</faultstring><detail>\
             <sf:{element} xsi:type=\"sf:{element}\"><sf:exceptionCode>{code}</sf:exceptionCode>\
             <sf:exceptionMessage>{text}</sf:exceptionMessage></sf:{element}></detail>{close}"
        )
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { code: problem.code, text: problem.message, kind: Kind::Api }
    }
}
