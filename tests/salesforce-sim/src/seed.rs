//! What the simulated orgs hold at the start, as a file or a test describes it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::secret::Secret;

/// The administrator and service account of the built-in org.
pub const ADMIN: &str = "svc@acme.example";
/// The password of [`ADMIN`].
pub const ADMIN_PASSWORD: &str = "Gate-Keeper-1";
/// The security token of [`ADMIN`].
pub const ADMIN_TOKEN: &str = "tOkEn000AcmeGate00000001";
/// The consumer key of the built-in org's connected app.
pub const CONSUMER_KEY: &str = "3MVG9.acme.postern";
/// The consumer secret of the built-in org's connected app.
pub const CONSUMER_SECRET: &str = "A1B2C3D4E5F60718293A4B5C6D7E8F90";

/// How many licenses the built-in org has beyond one for each of its people.
pub(crate) const SPARE_LICENSES: usize = 100;

/// One org.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrgSeed {
    /// The name of the company.
    pub name: String,
    /// Whether `login()` says the org is a sandbox.
    pub sandbox: bool,
    /// Networks (CIDR) from which no security token is needed.
    pub trusted_ranges: Vec<String>,
    /// Seconds a session lives without a call.
    pub session_secs: u64,
    /// API calls allowed a day.
    pub daily_api_calls: u64,
    /// Whether `login()` over SOAP is allowed.
    pub soap_login: bool,
    /// License stock.
    pub licenses: Vec<LicenseSeed>,
    /// Profiles; each names its license.
    pub profiles: Vec<ProfileSeed>,
    /// Roles; a parent stands before its children.
    pub roles: Vec<RoleSeed>,
    /// Permission sets.
    pub permission_sets: Vec<PermissionSetSeed>,
    /// Rules for passwords.
    pub password_policy: PasswordPolicy,
    /// Connected apps.
    pub apps: Vec<AppSeed>,
    /// Users. At least one should have an administrator's profile.
    pub users: Vec<UserSeed>,
}

/// A license and how many the org has bought.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenseSeed {
    /// `Salesforce`, `Chatter Free`, …
    pub name: String,
    /// How many active users may have it.
    pub total: i64,
}

/// A profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSeed {
    /// Its name.
    pub name: String,
    /// The license its users take.
    pub license: String,
    /// Whether its users may manage users and count as administrators.
    #[serde(default)]
    pub admin: bool,
    /// Whether its users may use the API.
    #[serde(default = "yes")]
    pub api_enabled: bool,
    /// Networks (CIDR) its users must come from; inside them no security token is needed. None: from anywhere.
    #[serde(default)]
    pub login_ranges: Vec<String>,
}

/// A role.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleSeed {
    /// Its name.
    pub name: String,
    /// The name of the role above it.
    #[serde(default)]
    pub parent: Option<String>,
}

/// A permission set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermissionSetSeed {
    /// Its API name.
    pub name: String,
    /// How people call it.
    pub label: String,
    /// The license its assignees must have, if it says so.
    #[serde(default)]
    pub license: Option<String>,
    /// The id of the group of permission sets whose permissions it sums up, if it is no set of its own.
    #[serde(default)]
    pub group: Option<String>,
}

/// What a user signs in with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSeed {
    /// Its name.
    pub name: String,
    /// `Desktop`, `Tablet`, `iPad`, `iPhone`, `Phone` or `Unknown`.
    pub kind: String,
    /// `Windows`, `OSX`, `Linux`, `iOS`, `Android`, …
    pub platform: String,
    /// The browser.
    #[serde(default)]
    pub browser: Option<String>,
}

/// A user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserSeed {
    /// Unique over all orgs of the simulator.
    pub username: String,
    /// None: the user cannot log in until a password is set.
    pub password: Option<Secret>,
    /// Appended to the password outside the trusted ranges; made up when not given.
    pub security_token: Option<Secret>,
    /// Whether the password must be changed at the first login.
    pub password_expired: bool,
    /// The name of the profile.
    pub profile: String,
    /// The name of the role.
    pub role: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: String,
    /// Defaults to the username.
    pub email: Option<String>,
    /// Whether the user may log in.
    pub active: bool,
    /// Whether the user's login is frozen.
    pub frozen: bool,
    /// What the user signs in with.
    pub devices: Vec<DeviceSeed>,
    /// How many minutes ago the user signed in before, the longest ago first.
    pub past_logins: Vec<u32>,
    /// Further fields by their API names.
    pub fields: Map<String, Json>,
}

/// A connected app.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppSeed {
    /// Shown in LoginHistory.
    pub name: String,
    /// The client id.
    pub consumer_key: String,
    /// The client secret.
    pub consumer_secret: Secret,
    /// Certificate or public key, PEM, that verifies JWT assertions.
    pub certificate: Option<String>,
    /// The user that the client-credentials grant runs as.
    pub run_as: Option<String>,
    /// Whether the username-password grant is allowed.
    pub password_flow: bool,
    /// Users approved for the JWT grant; none given: everyone is.
    pub approved: Option<Vec<String>>,
    /// Refresh tokens given out earlier, as a browser login would have done.
    pub refresh_tokens: Vec<RefreshSeed>,
}

/// A refresh token and the user it stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshSeed {
    /// The token.
    pub token: Secret,
    /// The user.
    pub username: String,
}

/// What a password must be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordPolicy {
    /// In characters.
    pub min_length: usize,
    /// Whether it needs a letter and a digit.
    pub letters_and_digits: bool,
    /// How many former passwords may not come back.
    pub history: usize,
    /// Days until it must be changed; 0: never.
    pub expires_days: u64,
    /// Failed logins until the user is locked out; 0: never.
    pub max_failed_logins: u32,
    /// Minutes a lock-out lasts; 0: until an administrator ends it.
    pub lockout_mins: u64,
    /// Whether a password must be a day old before it may be changed.
    pub one_day_minimum: bool,
}

/// An address range in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    network: u128,
    mask: u128,
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or a single address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length: u32 = length.map_or(Some(width), |it| it.trim().parse().ok())?;
        let host_bits = width.checked_sub(length)?;
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        Some(Self { network: number(address) & mask, mask })
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        number(address) & self.mask == self.network
    }
}

/// IPv4 addresses live in the mapped part of IPv6, so one comparison serves both.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(it) => it.to_ipv6_mapped().to_bits(),
        IpAddr::V6(it) => it.to_bits(),
    }
}

const fn yes() -> bool {
    true
}

impl Default for OrgSeed {
    /// An org with licenses, profiles and roles, and nobody in it.
    fn default() -> Self {
        let license = |name: &str, total| LicenseSeed { name: name.to_owned(), total };
        let profile = |name: &str, license: &str, admin| ProfileSeed {
            name: name.to_owned(),
            license: license.to_owned(),
            admin,
            api_enabled: true,
            login_ranges: Vec::new(),
        };
        let role =
            |name: &str, parent: Option<&str>| RoleSeed { name: name.to_owned(), parent: parent.map(str::to_owned) };
        let permission_set = |name: &str, label: &str, license: Option<&str>| PermissionSetSeed {
            name: name.to_owned(),
            label: label.to_owned(),
            license: license.map(str::to_owned),
            group: None,
        };
        Self {
            name: "Acme".to_owned(),
            sandbox: false,
            trusted_ranges: vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()],
            session_secs: 7_200,
            daily_api_calls: 100_000,
            soap_login: true,
            licenses: vec![
                license("Salesforce", 100),
                license("Salesforce Platform", 20),
                license("Chatter Free", 500),
            ],
            profiles: vec![
                profile("System Administrator", "Salesforce", true),
                profile("Standard User", "Salesforce", false),
                profile("Read Only", "Salesforce", false),
                profile("Standard Platform User", "Salesforce Platform", false),
                profile("Chatter Free User", "Chatter Free", false),
            ],
            roles: vec![
                role("CEO", None),
                role("CFO", Some("CEO")),
                role("VP Sales", Some("CEO")),
                role("Sales Manager", Some("VP Sales")),
                role("Sales Rep", Some("Sales Manager")),
            ],
            permission_sets: vec![
                permission_set("Report_Builder", "Report Builder", None),
                permission_set("Sales_Console", "Sales Console", Some("Salesforce")),
            ],
            password_policy: PasswordPolicy::default(),
            apps: Vec::new(),
            users: Vec::new(),
        }
    }
}

impl OrgSeed {
    /// The org a simulator has when nobody describes one: an administrator, a connected app, and `users` more people
    /// named `user0001@acme.example` and so on, every tenth of them inactive.
    pub fn acme(users: usize) -> Self {
        let mut seed = Self::default();
        seed.license(users.saturating_add(SPARE_LICENSES));
        seed.apps.push(AppSeed {
            name: "Postern".to_owned(),
            consumer_key: CONSUMER_KEY.to_owned(),
            consumer_secret: CONSUMER_SECRET.into(),
            run_as: Some(ADMIN.to_owned()),
            password_flow: true,
            ..AppSeed::default()
        });
        seed.users.push(UserSeed {
            username: ADMIN.to_owned(),
            password: Some(ADMIN_PASSWORD.into()),
            security_token: Some(ADMIN_TOKEN.into()),
            profile: "System Administrator".to_owned(),
            first_name: Some("Service".to_owned()),
            last_name: "Account".to_owned(),
            ..UserSeed::default()
        });
        seed.users.extend((1..=users).map(person));
        seed
    }

    /// Buys so many of the first license.
    pub fn license(&mut self, total: usize) {
        if let Some(license) = self.licenses.first_mut() {
            license.total = i64::try_from(total).unwrap_or(i64::MAX);
        }
    }
}

/// One of the people of the built-in org.
fn person(number: usize) -> UserSeed {
    const GIVEN: [&str; 5] = ["Ada", "Björn", "Chloé", "Dmitri", "Emi"];
    const FAMILY: [&str; 7] = ["Adams", "Björk", "Costa", "D'Arcy", "Endo", "Fischer", "Grant"];
    const ROLES: [&str; 4] = ["Sales Rep", "Sales Manager", "CFO", "VP Sales"];
    let pick = |list: &[&str], nth: usize| list.get(nth % list.len().max(1)).map(|it| (*it).to_owned());
    UserSeed {
        username: format!("user{number:04}@acme.example"),
        password: Some(Secret::from(format!("Welcome-{number:04}"))),
        role: pick(&ROLES, number),
        first_name: pick(&GIVEN, number),
        last_name: pick(&FAMILY, number).unwrap_or_default(),
        active: !number.is_multiple_of(10),
        ..UserSeed::default()
    }
}

impl Default for UserSeed {
    fn default() -> Self {
        Self {
            username: String::new(),
            password: None,
            security_token: None,
            password_expired: false,
            profile: "Standard User".to_owned(),
            role: None,
            first_name: None,
            last_name: "User".to_owned(),
            email: None,
            active: true,
            frozen: false,
            devices: Vec::new(),
            past_logins: Vec::new(),
            fields: Map::new(),
        }
    }
}

impl Default for PasswordPolicy {
    /// The policy of a new org.
    fn default() -> Self {
        Self {
            min_length: 8,
            letters_and_digits: true,
            history: 3,
            expires_days: 90,
            max_failed_logins: 10,
            lockout_mins: 15,
            one_day_minimum: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(range: &str, address: &str) -> bool {
        Cidr::parse(range).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn ranges_contain_their_addresses() {
        assert!(contains("127.0.0.0/8", "127.8.9.10") && !contains("127.0.0.0/8", "128.0.0.1"));
        assert!(contains("10.1.2.3", "10.1.2.3") && !contains("10.1.2.3", "10.1.2.4"));
        assert!(contains("0.0.0.0/0", "203.0.113.7") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1"));
        assert!(Cidr::parse("10.0.0.0/33").is_none() && Cidr::parse("ten").is_none());
    }

    #[test]
    fn secrets_stay_out_of_debug() {
        let shown = format!("{:?}", OrgSeed::acme(1));
        for secret in [ADMIN_PASSWORD, ADMIN_TOKEN, CONSUMER_SECRET] {
            assert!(!shown.contains(secret));
        }
    }
}
