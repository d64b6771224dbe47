//! Which host signs us in.

use url::{Host, Url};

use crate::http::Encryption;

/// The login host of production orgs.
pub(super) const PRODUCTION: &str = "https://login.salesforce.com";
/// The login host of sandboxes.
pub(super) const SANDBOX: &str = "https://test.salesforce.com";

/// The longest name that DNS has.
const MAX_HOST: usize = 253;

/// The URL that signs in for a `domain` as operators write it: nothing, a host, or a whole URL.
pub(super) fn login_url(domain: &str, encryption: Encryption) -> Result<Url, String> {
    let domain = domain.trim();
    let text = match domain.to_ascii_lowercase().as_str() {
        // What older products assume when the field is blank; none of them signs in to the API any more.
        "" | "www.salesforce.com" | "salesforce.com" => PRODUCTION.to_owned(),
        "sandbox.salesforce.com" => SANDBOX.to_owned(),
        lower if lower.contains("://") => domain.to_owned(),
        _ => format!("https://{domain}"),
    };
    if domain.contains('@') {
        return Err("it is a host or a URL without name and password; these have keys of their own".to_owned());
    }
    let url = Url::parse(&text).map_err(|_| format!("`{domain}` is neither a host nor a URL"))?;
    let host = url.host_str().unwrap_or_default();
    if host.len() > MAX_HOST {
        return Err(format!("no host has a name of more than {MAX_HOST} characters"));
    }
    if let Some(name) = host.strip_suffix(".lightning.force.com") {
        return Err(format!("`{host}` serves pages to people; for programs it is `{name}.my.salesforce.com`"));
    }
    match url.scheme() {
        "https" => (),
        "http" if encryption == Encryption::NotRequired => (),
        "http" => {
            let problem =
                "passwords would travel in clear; use https, or write `insecure_plain_http = true` for a test";
            return Err(problem.to_owned());
        }
        other => return Err(format!("`{other}://` is not HTTP")),
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{domain}` must be a host or a URL without path and query"));
    }
    Ok(url)
}

/// The origin of the API that a sign-in names; `None` for a host that nobody can have.
pub(super) fn instance(named: &Url) -> Option<Url> {
    let origin = Url::parse(&named.origin().ascii_serialization()).ok()?;
    (origin.host_str()?.len() <= MAX_HOST).then_some(origin)
}

/// Whether it is one of the two hosts for everybody, which do not know the org before the sign-in.
pub(super) fn is_shared(url: &Url) -> bool {
    matches!(url.host_str(), Some("login.salesforce.com" | "test.salesforce.com"))
}

/// Below which Salesforce's own hosts are.
const OF_SALESFORCE: [&str; 6] =
    ["salesforce.com", "force.com", "cloudforce.com", "salesforce.mil", "sfcrmproducts.cn", "my.site.com"];

/// Whether it is one of Salesforce's own hosts.
pub(super) fn is_of_salesforce(url: &Url) -> bool {
    let below = |host: &str, domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    matches!(url.host(), Some(Host::Domain(host)) if OF_SALESFORCE.iter().any(|domain| below(host, domain)))
}

/// How the hosts of orgs end that sign in where sandboxes do.
const OF_SANDBOXES: [&str; 2] = [".sandbox.my.salesforce.com", ".scratch.my.salesforce.com"];

/// The audience of a JWT for a login URL, if the configuration does not say.
pub(super) fn audience(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain("test.salesforce.com")) => SANDBOX.to_owned(),
        Some(Host::Domain(host)) if OF_SANDBOXES.iter().any(|end| host.ends_with(end)) => SANDBOX.to_owned(),
        Some(Host::Domain(host)) if host.ends_with(".salesforce.com") => PRODUCTION.to_owned(),
        _ => url.as_str().trim_end_matches('/').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salesforces_own_hosts_are_below_its_domains() {
        for (url, expected) in [
            ("https://acme.my.salesforce.com", true),
            ("https://acme--uat.sandbox.my.salesforce.com", true),
            ("https://acme.my.salesforce.mil", true),
            ("https://evil-salesforce.com", false),
            ("https://acme.my.salesforce.com.example", false),
            ("https://192.0.2.1", false),
        ] {
            assert_eq!(is_of_salesforce(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    fn url(domain: &str) -> Result<String, String> {
        login_url(domain, Encryption::Required).map(|url| url.to_string())
    }

    #[test]
    fn what_operators_write_leads_to_a_login_host() {
        for (domain, expected) in [
            ("", "https://login.salesforce.com/"),
            ("  ", "https://login.salesforce.com/"),
            ("www.Salesforce.com", "https://login.salesforce.com/"),
            ("sandbox.Salesforce.com", "https://test.salesforce.com/"),
            ("test.salesforce.com", "https://test.salesforce.com/"),
            ("acme.my.salesforce.com", "https://acme.my.salesforce.com/"),
            ("https://acme.my.salesforce.com:8443", "https://acme.my.salesforce.com:8443/"),
            ("localhost:8443", "https://localhost:8443/"),
        ] {
            assert_eq!(url(domain).as_deref(), Ok(expected), "{domain}");
        }
    }

    #[test]
    fn my_domain_and_sandbox_hosts_are_signed_in_to_where_they_are() {
        for host in [
            "acme.my.salesforce.com",
            "acme--uat.sandbox.my.salesforce.com",
            "acme-dev-ed.develop.my.salesforce.com",
            "random.scratch.my.salesforce.com",
            "acme.my.site.com",
        ] {
            let login = login_url(host, Encryption::Required).unwrap();
            assert_eq!(login.as_str(), format!("https://{host}/"));
            assert!(!is_shared(&login), "client credentials work there: {host}");
        }
        for shared in ["", "test.salesforce.com"] {
            assert!(is_shared(&login_url(shared, Encryption::Required).unwrap()));
        }
    }

    #[test]
    fn what_cannot_sign_in_is_refused_with_the_reason() {
        for (domain, reason) in [
            ("http://acme.my.salesforce.com", "insecure_plain_http"),
            ("acme.lightning.force.com", "`acme.my.salesforce.com`"),
            ("acme--uat.sandbox.lightning.force.com", "`acme--uat.sandbox.my.salesforce.com`"),
            ("https://acme.my.salesforce.com/services", "without path"),
            ("https://joe@acme.my.salesforce.com", "without name and password"),
            ("ftp://acme.my.salesforce.com", "not HTTP"),
            ("a b", "neither a host nor a URL"),
        ] {
            let error = url(domain).unwrap_err();
            assert!(error.contains(reason), "{domain}: {error}");
        }
        assert!(login_url("http://127.0.0.1:8080", Encryption::NotRequired).is_ok());
    }

    #[test]
    fn the_audience_follows_the_kind_of_org() {
        for (domain, expected) in [
            ("", PRODUCTION),
            ("acme.my.salesforce.com", PRODUCTION),
            ("test.salesforce.com", SANDBOX),
            ("acme--uat.sandbox.my.salesforce.com", SANDBOX),
            ("random.scratch.my.salesforce.com", SANDBOX),
            ("localhost:8443", "https://localhost:8443"),
        ] {
            assert_eq!(audience(&login_url(domain, Encryption::Required).unwrap()), expected);
        }
    }
}
