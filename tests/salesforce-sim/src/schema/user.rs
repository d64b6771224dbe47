//! The User object: field names and lengths of the v67 reference.

use super::field::{Field, column};
use super::picklist::{EMAIL_ENCODINGS, LANGUAGES, LOCALES, TIME_ZONES};
use super::{Object, ObjectKind};

const DIGEST: &[(&str, &str)] = &[("D", "Daily"), ("W", "Weekly"), ("N", "Never")];
const NOTIFICATION: &[(&str, &str)] =
    &[("P", "Email on each post"), ("D", "Daily digests"), ("W", "Weekly digests"), ("N", "Never")];
const USER_TYPES: &[(&str, &str)] = &[
    ("Standard", "Standard"),
    ("PowerPartner", "Partner"),
    ("PowerCustomerSuccess", "Customer Portal Manager"),
    ("CustomerSuccess", "Customer Portal User"),
    ("Guest", "Guest"),
    ("CspLitePortal", "High Volume Portal"),
    ("CsnOnly", "CSN Only"),
];

/// The object as `describe` shows it. Users cannot be deleted.
pub(crate) static OBJECT: Object = Object {
    name: "User",
    label: "User",
    plural: "Users",
    prefix: "005",
    createable: true,
    updateable: true,
    deletable: false,
    replicateable: true,
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    Field::id("User ID"),
    Field::text("Username", "Username", 80).required().unique(),
    Field::text("LastName", "Last Name", 80).required(),
    Field::text("FirstName", "First Name", 40),
    Field::text("MiddleName", "Middle Name", 40),
    Field::text("Suffix", "Suffix", 40),
    Field::text("Name", "Full Name", 121).read_only().filled(),
    Field::text("CompanyName", "Company Name", 80),
    Field::text("Division", "Division", 80),
    Field::text("Department", "Department", 80),
    Field::text("Title", "Title", 80),
    Field::area("Street", "Street", 255),
    Field::text("City", "City", 40),
    Field::text("State", "State/Province", 80),
    Field::text("PostalCode", "Zip/Postal Code", 20),
    Field::text("Country", "Country", 80),
    Field::email("Email", "Email", 128).required(),
    Field::boolean("EmailPreferencesAutoBcc", "AutoBcc"),
    Field::boolean("EmailPreferencesAutoBccStayInTouch", "AutoBccStayInTouch"),
    Field::boolean("EmailPreferencesStayInTouchReminder", "StayInTouchReminder"),
    Field::email("SenderEmail", "Email Sender Address", 80),
    Field::text("SenderName", "Email Sender Name", 80),
    Field::area("Signature", "Email Signature", 1333),
    Field::area("StayInTouchSubject", "Stay-in-Touch Email Subject", 80),
    Field::area("StayInTouchSignature", "Stay-in-Touch Email Signature", 512),
    Field::area("StayInTouchNote", "Stay-in-Touch Email Note", 512),
    Field::phone("Phone", "Phone"),
    Field::phone("Fax", "Fax"),
    Field::phone("MobilePhone", "Mobile"),
    Field::text("Alias", "Alias", 8).required(),
    Field::text("CommunityNickname", "Nickname", 40).filled().unique(),
    Field::text("BadgeText", "User Photo badge text overlay", 80).read_only(),
    Field::boolean("IsActive", "Active"),
    Field::picklist("TimeZoneSidKey", "Time Zone", TIME_ZONES).required(),
    Field::reference("UserRoleId", "Role ID", "UserRole", ObjectKind::UserRole),
    Field::picklist("LocaleSidKey", "Locale", LOCALES).required(),
    Field::boolean("ReceivesInfoEmails", "Info Emails"),
    Field::boolean("ReceivesAdminInfoEmails", "Admin Info Emails"),
    Field::picklist("EmailEncodingKey", "Email Encoding", EMAIL_ENCODINGS).required(),
    Field::reference("ProfileId", "Profile ID", "Profile", ObjectKind::Profile).required(),
    Field::picklist("UserType", "User Type", USER_TYPES).read_only(),
    Field::picklist("LanguageLocaleKey", "Language", LANGUAGES).required(),
    Field::text("EmployeeNumber", "Employee Number", 20),
    Field::reference("DelegatedApproverId", "Delegated Approver ID", "DelegatedApprover", ObjectKind::User),
    Field::reference("ManagerId", "Manager ID", "Manager", ObjectKind::User),
    Field::moment("LastLoginDate", "Last Login"),
    Field::moment("LastPasswordChangeDate", "Last Password Change or Reset"),
    Field::moment("CreatedDate", "Created Date").filled(),
    Field::reference("CreatedById", "Created By ID", "CreatedBy", ObjectKind::User).read_only().filled(),
    Field::moment("LastModifiedDate", "Last Modified Date").filled(),
    Field::reference("LastModifiedById", "Last Modified By ID", "LastModifiedBy", ObjectKind::User)
        .read_only()
        .filled(),
    Field::moment("SystemModstamp", "System Modstamp").filled(),
    Field::int("NumberOfFailedLogins", "Failed Login Attempts").read_only(),
    Field::moment("PasswordExpirationDate", "Password Expiration Date"),
    Field::moment("OfflineTrialExpirationDate", "Offline Edition Trial Expiration Date"),
    Field::moment("OfflinePdaTrialExpirationDate", "Sales Anywhere Trial Expiration Date"),
    Field::boolean("UserPermissionsMarketingUser", "Marketing User"),
    Field::boolean("UserPermissionsOfflineUser", "Offline User"),
    Field::boolean("UserPermissionsCallCenterAutoLogin", "Auto-login To Call Center"),
    Field::boolean("UserPermissionsSFContentUser", "Salesforce CRM Content User"),
    Field::boolean("UserPermissionsKnowledgeUser", "Knowledge User"),
    Field::boolean("UserPermissionsInteractionUser", "Flow User"),
    Field::boolean("UserPermissionsSupportUser", "Service Cloud User"),
    Field::boolean("ForecastEnabled", "Allow Forecasting"),
    Field::boolean("UserPreferencesActivityRemindersPopup", "ActivityRemindersPopup"),
    Field::boolean("UserPreferencesApexPagesDeveloperMode", "ApexPagesDeveloperMode"),
    Field::boolean("UserPreferencesLightningExperiencePreferred", "LightningExperiencePreferred"),
    Field::text("FederationIdentifier", "SAML Federation ID", 512).unique().case_sensitive(),
    Field::area("AboutMe", "About Me", 1000).unfilterable(),
    Field::text("OutOfOfficeMessage", "Out of office message", 40),
    Field::text("Extension", "Extension", 40),
    Field::url("FullPhotoUrl", "Url for full-sized Photo").read_only(),
    Field::url("SmallPhotoUrl", "Photo").read_only(),
    Field::url("MediumPhotoUrl", "Url for medium profile photo").read_only(),
    Field::url("BannerPhotoUrl", "Url for banner photo").read_only(),
    Field::url("SmallBannerPhotoUrl", "Url for IOS banner photo").read_only(),
    Field::url("MediumBannerPhotoUrl", "Url for Android banner photo").read_only(),
    Field::boolean("IsProfilePhotoActive", "Has Profile Photo").read_only(),
    Field::picklist("DigestFrequency", "Chatter Email Highlights Frequency", DIGEST).filled(),
    Field::picklist(
        "DefaultGroupNotificationFrequency",
        "Default Notification Frequency when Joining Groups",
        NOTIFICATION,
    )
    .filled(),
    Field::outside("IndividualId", "Individual ID"),
    Field::outside("CallCenterId", "Call Center ID"),
    Field::outside("ContactId", "Contact ID"),
    Field::outside("AccountId", "Account ID").read_only(),
    Field::moment("LastViewedDate", "Last Viewed Date"),
    Field::moment("LastReferencedDate", "Last Referenced Date"),
];

/// The field of a column.
pub(crate) fn field(column: usize) -> Option<&'static Field> {
    OBJECT.field(column)
}

pub(crate) const COMMUNITY_NICKNAME: usize = column(FIELDS, "CommunityNickname");
pub(crate) const CREATED_BY_ID: usize = column(FIELDS, "CreatedById");
pub(crate) const CREATED_DATE: usize = column(FIELDS, "CreatedDate");
pub(crate) const DEFAULT_GROUP_NOTIFICATION_FREQUENCY: usize = column(FIELDS, "DefaultGroupNotificationFrequency");
pub(crate) const DIGEST_FREQUENCY: usize = column(FIELDS, "DigestFrequency");
pub(crate) const EMAIL: usize = column(FIELDS, "Email");
pub(crate) const FEDERATION_IDENTIFIER: usize = column(FIELDS, "FederationIdentifier");
pub(crate) const FIRST_NAME: usize = column(FIELDS, "FirstName");
pub(crate) const ID: usize = column(FIELDS, "Id");
pub(crate) const IS_ACTIVE: usize = column(FIELDS, "IsActive");
pub(crate) const LANGUAGE_LOCALE_KEY: usize = column(FIELDS, "LanguageLocaleKey");
pub(crate) const LAST_LOGIN_DATE: usize = column(FIELDS, "LastLoginDate");
pub(crate) const LAST_MODIFIED_BY_ID: usize = column(FIELDS, "LastModifiedById");
pub(crate) const LAST_MODIFIED_DATE: usize = column(FIELDS, "LastModifiedDate");
pub(crate) const LAST_NAME: usize = column(FIELDS, "LastName");
pub(crate) const LAST_PASSWORD_CHANGE_DATE: usize = column(FIELDS, "LastPasswordChangeDate");
pub(crate) const LOCALE_SID_KEY: usize = column(FIELDS, "LocaleSidKey");
pub(crate) const NAME: usize = column(FIELDS, "Name");
pub(crate) const NUMBER_OF_FAILED_LOGINS: usize = column(FIELDS, "NumberOfFailedLogins");
pub(crate) const PROFILE_ID: usize = column(FIELDS, "ProfileId");
pub(crate) const SYSTEM_MODSTAMP: usize = column(FIELDS, "SystemModstamp");
pub(crate) const TIME_ZONE_SID_KEY: usize = column(FIELDS, "TimeZoneSidKey");
pub(crate) const USERNAME: usize = column(FIELDS, "Username");
pub(crate) const USER_ROLE_ID: usize = column(FIELDS, "UserRoleId");
pub(crate) const USER_TYPE: usize = column(FIELDS, "UserType");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::field::Presence;

    /// The nine of the published reference; everything else is optional or filled in.
    #[test]
    fn nine_fields_are_required_on_create() {
        let mut names: Vec<&str> =
            FIELDS.iter().filter(|it| it.presence == Presence::Required).map(|it| it.name).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "Alias",
                "Email",
                "EmailEncodingKey",
                "LanguageLocaleKey",
                "LastName",
                "LocaleSidKey",
                "ProfileId",
                "TimeZoneSidKey",
                "Username"
            ]
        );
    }

    #[test]
    fn the_seeded_picklists_have_all_their_values() {
        assert_eq!(TIME_ZONES.len(), 85);
        assert_eq!(LOCALES.len(), 64);
        assert_eq!(EMAIL_ENCODINGS.len(), 8);
        assert_eq!(LANGUAGES.len(), 12);
    }
}
