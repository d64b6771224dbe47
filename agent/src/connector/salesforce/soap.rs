//! The SOAP `login()` call: one envelope out, one read. It lives in API versions up to 64 only.

use quick_xml::escape::escape;
use url::Url;
use zeroize::Zeroizing;

use super::domain::instance;
use super::elements;
use super::session::is_token;
use super::user::is_id;

/// The newest version that has `login()`; Salesforce retires it in Summer '27.
pub(super) const PATH: &str = "/services/Soap/u/64.0";

/// What `login()` answered. It may hold a session, so it has no `Debug`.
#[derive(PartialEq, Eq)]
pub(super) enum Answer {
    /// A session.
    Session {
        /// Whether it is good for a new password only.
        password_expired: bool,
        /// Origin of the API.
        instance: Url,
        /// The access token.
        session: Zeroizing<String>,
        /// The service account's id.
        user: String,
        /// The org's id.
        organization: String,
    },
    /// A refusal.
    Fault {
        /// Its code, without prefix.
        code: String,
        /// Its words.
        message: String,
    },
}

/// The envelope of a sign-in. Name and password are escaped.
pub(super) fn envelope(username: &str, password: &str) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:urn=\"urn:partner.soap.sforce.com\"><soapenv:Header><urn:CallOptions><urn:client>Postern</urn:client>\
         </urn:CallOptions></soapenv:Header><soapenv:Body><urn:login><urn:username>{}</urn:username><urn:password>{}\
         </urn:password></urn:login></soapenv:Body></soapenv:Envelope>",
        escape(username),
        escape(password)
    ))
}

/// Reads an answer; `None` if it is not one. Elements are found by local name: prefixes vary.
pub(super) fn parse(body: &[u8]) -> Option<Answer> {
    let found = Found::read(body)?;
    let code = found.exception_code.or(found.fault_code);
    if let Some(code) = code {
        // A fault code may go on behind a dot (SOAP 1.1, 4.4.1).
        let code = code.rsplit(':').next().unwrap_or_default().trim();
        let code = code.split('.').next().unwrap_or_default().to_owned();
        let text = found.exception_message.or(found.fault_string).unwrap_or_default();
        let message = text.strip_prefix(&format!("{code}: ")).unwrap_or(&text).to_owned();
        return Some(Answer::Fault { code, message });
    }
    let instance = instance(&Url::parse(&found.server_url?).ok()?)?;
    // An answer need not name the org, but nothing else in its place.
    let organization = found.organization_id.unwrap_or_default();
    if !organization.is_empty() && !is_id(&organization) {
        return None;
    }
    Some(Answer::Session {
        password_expired: found.password_expired.as_deref() == Some("true"),
        instance,
        session: Zeroizing::new(found.session_id.filter(|id| is_token(id))?),
        user: found.user_id.filter(|id| is_id(id))?,
        organization,
    })
}

#[derive(Default)]
struct Found {
    session_id: Option<String>,
    server_url: Option<String>,
    user_id: Option<String>,
    organization_id: Option<String>,
    password_expired: Option<String>,
    fault_code: Option<String>,
    fault_string: Option<String>,
    exception_code: Option<String>,
    exception_message: Option<String>,
}

impl Found {
    fn read(body: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        elements::each(body, |name, value| {
            if let Some(place) = found.place(name) {
                place.get_or_insert_with(|| std::mem::take(value));
            }
        })?;
        Some(found)
    }

    /// The first element of a name counts: `userId` stands in the result and again in its user information.
    fn place(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "sessionId" => &mut self.session_id,
            "serverUrl" => &mut self.server_url,
            "userId" => &mut self.user_id,
            "organizationId" => &mut self.organization_id,
            "passwordExpired" => &mut self.password_expired,
            "faultcode" => &mut self.fault_code,
            "faultstring" => &mut self.fault_string,
            "exceptionCode" => &mut self.exception_code,
            "exceptionMessage" => &mut self.exception_message,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
        xmlns=\"urn:partner.soap.sforce.com\"><soapenv:Body><loginResponse><result>\
        <passwordExpired>false</passwordExpired><sandbox>false</sandbox>\
        <serverUrl>https://acme.my.salesforce.com/services/Soap/u/64.0/00D5g000001AbCd</serverUrl>\
        <sessionId>00D5g000001AbCd!AQ&amp;0</sessionId><userId>0055g00000XyZ12AAF</userId><userInfo>\
        <organizationId>00D5g000001AbCdEAK</organizationId><roleId xsi:nil=\"true\"/><userId>other</userId>\
        </userInfo></result></loginResponse></soapenv:Body></soapenv:Envelope>";

    const FAULT: &str = "<soapenv:Envelope><soapenv:Body><soapenv:Fault><faultcode>sf:INVALID_LOGIN</faultcode>\
        <faultstring>INVALID_LOGIN: Invalid username</faultstring></soapenv:Fault></soapenv:Body></soapenv:Envelope>";

    #[test]
    fn a_session_is_read_only_if_it_says_whose_it_is() {
        let Some(Answer::Session { password_expired, instance, session, user, organization }) =
            parse(SESSION.as_bytes())
        else {
            panic!("it is a session")
        };
        assert!(!password_expired);
        assert_eq!(instance.as_str(), "https://acme.my.salesforce.com/");
        assert_eq!(session.as_str(), "00D5g000001AbCd!AQ&0");
        assert_eq!((user.as_str(), organization.as_str()), ("0055g00000XyZ12AAF", "00D5g000001AbCdEAK"));
        let nobody = SESSION.replace("<userId>0055g00000XyZ12AAF", "<userId>");
        assert!(parse(nobody.as_bytes()).is_none(), "nothing would protect the service account");
    }

    /// Both are kept as long as the session, and told to whoever asks how the agent is.
    #[test]
    fn an_org_has_an_id_if_it_is_told_and_a_host_that_there_may_be() {
        let with = |org: &str, host: &str| {
            let body = SESSION.replace("Id>00D5g000001AbCdEAK<", &format!("Id>{org}<"));
            parse(body.replace("acme.my.salesforce.com", host).as_bytes()).is_some()
        };
        let longest = ["a", "b", "c"].map(|letter| letter.repeat(63)).join(".") + "." + &"d".repeat(61);
        assert!(with("", "acme.my.salesforce.com") && with("00D5g000001AbCd", &longest));
        assert!(!with("00D5g000001AbCd and more", "acme.my.salesforce.com"));
        assert!(!with("00D5g000001AbCd", &format!("{longest}d")));
        assert!(parse(SESSION.replace("organizationId", "another").as_bytes()).is_some());
    }

    #[test]
    fn an_expired_password_is_not_overlooked() {
        let expired = SESSION.replace("<passwordExpired>false", "<passwordExpired>true");
        assert!(matches!(parse(expired.as_bytes()), Some(Answer::Session { password_expired: true, .. })));
    }

    #[test]
    fn a_fault_is_read_with_and_without_its_detail() {
        let expected = Answer::Fault { code: "INVALID_LOGIN".to_owned(), message: "Invalid username".to_owned() };
        assert!(parse(FAULT.as_bytes()) == Some(expected));
        let detailed = FAULT.replace(
            "</soapenv:Fault>",
            "<detail><x:LoginFault><x:exceptionCode>LOGIN_MUST_USE_SECURITY_TOKEN</x:exceptionCode>\
             <x:exceptionMessage>y</x:exceptionMessage></x:LoginFault></detail></soapenv:Fault>",
        );
        assert!(
            matches!(parse(detailed.as_bytes()), Some(Answer::Fault { code, .. }) if code.starts_with("LOGIN_MUST"))
        );
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let no_session = SESSION.replace("<sessionId>00D5g000001AbCd!AQ&amp;0</sessionId>", "");
        let short = SESSION.replace("00D5g000001AbCd!AQ&amp;0", "00D!AQ");
        let bomb = format!("<!DOCTYPE a [<!ENTITY b \"b\">]>{SESSION}");
        let huge = SESSION.replace("AQ&amp;0", &"x".repeat(elements::MAX_BODY));
        for body in ["", "<html><body>Maintenance</body></html>", "{}", &no_session, &short, &bomb, &huge, "<a><b></a>"]
        {
            assert!(parse(body.as_bytes()).is_none(), "{body}");
        }
        assert!(parse(&[0xff, 0xfe]).is_none());
    }

    #[test]
    fn names_and_passwords_are_escaped() {
        let envelope = envelope("a&b@c.d", "p<>\"'w");
        assert!(envelope.contains("<urn:username>a&amp;b@c.d</urn:username>"));
        assert!(envelope.contains("<urn:password>p&lt;&gt;&quot;&apos;w</urn:password>"));
    }
}
