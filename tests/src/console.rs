//! The web console, walked through with a real browser against the real programs.
//!
//! Every chapter ends with a look at what the browser complained of: an error of a script, or anything that the pages'
//! policy forbade, fails it.
#![allow(clippy::print_stdout, reason = "a person waits for it")]

mod browser;
mod upkeep;

use std::path::Path;

use browser::{Browser, ENTER, Hold, SPACE, TAB};
use postern_protocol::TaskKind;
use postern_protocol::code::CodeSet as _;
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::{Value, json};

use crate::lab::{AgentOptions, CLUSTER, ControllerOptions, LabOptions, SYSTEM};
use crate::{Agent, Lab, wait_for};

const PHONE: u32 = 360;
const DESK: u32 = 1280;
/// Of certificates that last for five minutes, those of another root are replaced within three seconds.
const CERTIFICATES: [&str; 2] = ["--certificate-secs", "300"];

/// What is asked for next at `{path}` is told when `window.comes` is called.
const ONE_ANSWER_IS_LATE: &str = "
    const real = window.fetch;
    window.fetch = async (path, how) => {
        const answer = await real(path, how);
        if (!path.includes('{path}')) return answer;
        window.fetch = real;
        const told = await answer.text();
        await new Promise((comes) => { window.comes = comes; });
        return new Response(told);
    };";

/// A task is told as one that was given up in the middle is: without an output.
const NOTHING_IS_WHOLE: &str = "
    const real = window.fetch;
    window.fetch = async (path, how) => {
        const answer = await real(path, how);
        if (!/^\\/v1\\/tasks\\/[^/?]+$/.test(path)) return answer;
        return new Response(JSON.stringify({ ...await answer.json(), output: null }));
    };";

/// The walk: its world, and the browser.
struct Walk {
    lab: Lab,
    browser: Browser,
    url: String,
}

/// Walks through the console with the binary that becomes the programs.
pub async fn run(binary: &Path, pictures: &Path) {
    let controller = ControllerOptions { serve: CERTIFICATES.to_vec(), ..ControllerOptions::default() };
    let lab = Lab::start_with(binary, LabOptions { controller, ..LabOptions::default() }).await;
    let browser = Browser::start(pictures).await;
    let url = lab.controller.ready()["api_url"].as_str().expect("the API's URL").to_owned();
    let mut walk = Walk { lab, browser, url };
    walk.browser.width(DESK).await;
    walk.browser.prefers("light").await;

    walk.what_is_sealed_here_is_sealed_by_the_book().await;
    walk.a_wrong_token_is_refused_at_its_field().await;
    walk.somebody_signs_in().await;
    walk.nothing_is_there_yet_and_what_to_do_is_said().await;
    let mut agent = walk.a_member_enrolls_and_is_approved().await;
    walk.a_system_is_made_with_every_field_and_the_keyboard_alone().await;
    walk.only_eligible_clusters_can_be_chosen().await;
    walk.the_connection_is_tested().await;
    walk.two_people_edit_the_same_system().await;
    walk.a_system_has_texts_in_other_languages().await;
    walk.more_is_logged_for_a_while().await;
    walk.a_password_is_sealed_in_the_browser().await;
    walk.two_bad_records_of_an_import_are_seen().await;
    walk.a_file_that_was_exported_is_opened_in_the_browser().await;
    walk.a_member_is_shown_whole().await;
    walk.what_is_no_moment_is_shown_as_a_dash().await;
    walk.words_that_every_object_has_are_said_as_they_are().await;
    walk.a_press_outlives_what_happens_meanwhile().await;
    walk.a_second_press_is_not_for_what_comes_next().await;
    let other = walk.it_is_told_where_members_differ().await;
    walk.every_page_fits_a_phone_in_light_and_dark().await;
    walk.hostile_names_stay_text_and_within_their_page().await;
    walk.a_thousand_members_can_be_looked_through().await;
    walk.newer_certificates_are_accepted().await;
    walk.a_member_with_an_alarm_is_enabled_after_a_question().await;
    walk.tasks_that_nobody_can_open_are_sealed_again(&mut agent, &other).await;
    walk.a_token_is_made_and_revoked().await;
    walk.one_root_takes_the_place_of_another().await;
    walk.what_is_being_written_outlives_the_session().await;
    walk.what_a_lost_answer_was_about_can_be_opened().await;
    walk.whoever_is_not_signed_out_is_told_so().await;
    walk.what_is_not_answered_is_given_up().await;
    walk.windows_that_nobody_sees_hold_up_none().await;
    walk.who_signs_in_in_one_window_is_signed_in_in_all().await;
    walk.the_controller_is_killed_and_started_again().await;
    walk.a_member_is_disabled_and_revoked().await;
    walk.every_act_stands_in_the_audit_log().await;
    walk.a_viewer_sees_why_not().await;
    walk.a_session_ends_with_its_token().await;
    walk.browser.quit().await;
    println!("the console does what it should; pictures are in {}", pictures.display());
}

impl Walk {
    async fn go(&self, place: &str) {
        self.browser.go("about:blank").await;
        self.browser.go(&format!("{}/console/{place}", self.url)).await;
        self.browser.find("//main[not(@aria-busy)]//h1").await;
    }

    /// Ends a chapter: what the browser complained of that was not to be expected.
    async fn is_quiet(&self, chapter: &str, expected: &[&str]) {
        let complaints = self.browser.complaints().await;
        let unexpected: Vec<_> =
            complaints.iter().filter(|it| !expected.iter().any(|words| it.contains(words))).collect();
        assert!(unexpected.is_empty(), "{chapter}: {unexpected:#?}");
        println!("ok  {chapter}");
    }

    async fn token(&self, name: &str, role: &str) -> String {
        let made = self.lab.controller.cli(&["api-token", "create", "--name", name, "--role", role]).await;
        made["token"].as_str().expect("a token").to_owned()
    }

    async fn sign_in(&self, token: &str) {
        self.browser.write("sign-in-token", token).await;
        self.browser.press("Sign in").await;
        // That of whoever signed out before is there as well, and hidden: to leave the page then is not to sign in.
        self.browser.find("//button[@id='sign-out' and not(ancestor::*[@hidden])]").await;
    }

    /// With the first administrator's token.
    async fn sign_in_first(&self) {
        let token = std::fs::read_to_string(self.lab.controller.data().join("api.token")).expect("the first token");
        self.sign_in(token.trim()).await;
    }

    /// Goes to a page without loading the console anew: what is kept in it stays.
    async fn turn_to(&self, place: &str, heading: &str) {
        self.browser.script(&format!("location.hash = '{place}'")).await;
        self.browser.find(&format!("//main[not(@aria-busy)]//h1[normalize-space()='{heading}']")).await;
    }

    /// From a page that asks for nothing meanwhile, and without loading it anew.
    async fn sign_out(&self) {
        self.turn_to("#/submit", "Submit a task").await;
        self.browser.press("Sign out").await;
        self.browser.find("//input[@id='sign-in-token']").await;
    }

    /// The published examples of RFC 8439, and what `protocol/golden` was sealed with, which other programs made.
    async fn what_is_sealed_here_is_sealed_by_the_book(&self) {
        self.go("").await;
        let golden = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/golden").join(name);
            std::fs::read_to_string(path).expect("a golden file")
        };
        let script = include_str!("console/by_the_book.js");
        let script = script
            .replace("{dataset}", &golden("sealed.dataset.hex"))
            .replace("{output}", &golden("sealed.output.hex"));
        let told = self.browser.script(&script).await;
        assert_eq!(told, json!([]), "what was not as the books say");
        let kinds = self
            .browser
            .script(
                "return import('/console/kinds.js').then(({ KINDS }) => KINDS.map((it) => \
                 [it.kind, it.number, it.fields.flatMap((field) => field.sealed ?? [])]))",
            )
            .await;
        let mut kinds: Vec<Value> = kinds.as_array().expect("the kinds").clone();
        kinds.sort_by_key(|it| it[1].as_u64());
        let known = TaskKind::ALL.iter().map(|it| json!([it.to_string(), it.code(), it.sealed_fields()]));
        assert_eq!(kinds, known.collect::<Vec<_>>(), "every kind has its form");
        self.is_quiet("what is sealed in the browser is sealed by the book", &["401"]).await;
    }

    async fn a_wrong_token_is_refused_at_its_field(&self) {
        let browser = &self.browser;
        self.go("").await;
        browser.picture("sign-in").await;
        // Whatever is called a password is offered to be kept.
        browser.find("//input[@id='sign-in-token' and @autocomplete='one-time-code']").await;
        browser.press("Sign in").await;
        browser.says("API token is missing.").await;
        browser.write("sign-in-token", "hunter2").await;
        browser.press("Sign in").await;
        browser.says("This token is not known here").await;
        assert!(!browser.has("//nav[@id='nav' and not(@hidden)]").await, "nobody is signed in");
        self.is_quiet("a wrong token is refused", &["401"]).await;
    }

    async fn somebody_signs_in(&self) {
        self.sign_in_first().await;
        let seen = self.browser.script("return document.cookie").await;
        assert_eq!(seen, json!(""), "no script gets at the session");
        self.browser.says("To do").await;
        self.browser.script("document.querySelector('.skip').focus()").await;
        self.browser.keys(ENTER).await;
        assert_eq!(self.browser.focused().await, "main", "the content is skipped to");
        assert!(self.browser.has("//h1[normalize-space()='Overview']").await, "and stays the same");
        self.is_quiet("somebody signs in", &[]).await;
    }

    async fn nothing_is_there_yet_and_what_to_do_is_said(&self) {
        self.browser.says("No agent has enrolled yet").await;
        self.browser.picture("overview-empty").await;
        self.go("#/members").await;
        self.browser.says("No members yet.").await;
        self.browser.write("cluster-name", "Not Good").await;
        self.browser.press("Make cluster").await;
        self.browser.find("//p[@id='cluster-name-error' and contains(., 'lower-case')]").await;
        self.browser.write("cluster-name", "empty").await;
        self.browser.press("Make cluster").await;
        self.browser.find("//h2[@id='cluster-empty']").await;
        self.browser.picture("members-empty").await;
        self.is_quiet("nothing is there yet, and what to do is said", &["422"]).await;
    }

    async fn a_member_enrolls_and_is_approved(&self) -> Agent {
        let browser = &self.browser;
        let mut agent = self.lab.agent_with("agent-1", AgentOptions::default());
        browser.click(&format!("//button[@id='token-{CLUSTER}']")).await;
        let token = browser.text("//*[@id='enrollment-token']").await;
        let url = self.lab.controller.url();
        assert_eq!(browser.text("//*[@id='enroll']").await, format!("postern enroll --controller {url} < FILE"));
        browser.says("from its own host alone").await;
        browser.click("//button[@id='enroll-copy']").await;
        browser.says("It was copied.").await;
        self.fits_a_phone_in_light_and_dark("members-token").await;
        self.agents_are_sent_where_somebody_is_if_they_may().await;
        let enrolled = agent.try_enroll(self.lab.controller.url(), &token).await;
        assert_eq!(enrolled.code, Some(0), "{}", enrolled.err);
        agent.start().await;
        browser.says("pending").await;
        let member = enrolled.json()["member"].as_str().expect("a member").to_owned();
        browser.click(&format!("//button[@id='approve-{member}']")).await;
        let shown = browser.text("//dialog//*[@class='fingerprint']").await;
        let fingerprint = enrolled.json()["fingerprint"].clone();
        assert_eq!(json!(shown), fingerprint, "the fingerprint that `enroll` printed");
        browser.picture("member-approve").await;
        browser.click("//dialog//button[normalize-space()='Approve']").await;
        assert!(browser.has("//dialog[@open]").await, "without the comparison nothing happens");
        browser.click("//input[@id='confirm-check']").await;
        browser.click("//dialog//button[normalize-space()='Approve']").await;
        browser.find(&format!("//button[@id='disable-{member}']")).await;
        let (_, acts, _) = self.lab.controller.try_cli(&["audit", "show"]).await;
        assert!(acts.contains(&format!("{member}, {shown}")), "the controller compares it, too: {acts}");
        browser.find("//td[@data-name='Session']//span[normalize-space()='connected']").await;
        browser.picture("members").await;
        self.is_quiet("a member enrolls, is seen at once and is approved by its fingerprint", &[]).await;
        agent
    }

    async fn agents_are_sent_where_somebody_is_if_they_may(&self) {
        let everywhere =
            ["wss://localhost:7443", "wss://in.example:7443", "wss://out.example:7443", "wss://[::1]:7443"];
        for (urls, at, to) in [
            (&everywhere[..], "out.example", 2),
            (&everywhere, "in.example", 1),
            (&everywhere, "localhost", 1),
            (&everywhere, "console.example", 1),
            (&everywhere[..1], "console.example", 0),
        ] {
            let ask = format!(
                "return import('/console/members.js').then(({{ urlForAgents }}) => urlForAgents({}, '{at}'))",
                json!(urls)
            );
            assert_eq!(self.browser.script(&ask).await, json!(urls[to]), "{urls:?} at {at}");
        }
    }

    /// Tab, arrows, space and enter are all there is.
    async fn a_system_is_made_with_every_field_and_the_keyboard_alone(&self) {
        let browser = &self.browser;
        self.go("#/systems").await;
        browser.says("No connected systems yet.").await;
        browser.keys(TAB).await;
        browser.keys(ENTER).await;
        browser.find("//form[@id='system']").await;
        assert_eq!(browser.script("return document.getElementById('system-locale').value").await, json!("en"));
        for (field, text) in [
            ("name", "Not Good"),
            ("type", ""),
            ("display_name", "Acme <b>Sales</b>"),
            ("description", "The org of the sales people"),
            ("locale", "fr-CA"),
            ("association", ""),
            ("password_reset_by", "u"),
            ("provisioning_option", "ad"),
            ("hpam", SPACE),
            ("transfer_of_accounts", SPACE),
            ("owners", "grace\u{e007}ada"),
            ("categories", "sales"),
        ] {
            self.tab_to(&format!("system-{field}")).await;
            browser.keys(text).await;
        }
        browser.keys(TAB).await;
        browser.picture("system-new").await;
        browser.keys(ENTER).await;
        browser.find("//input[@id='system-name' and @aria-invalid]").await;
        assert_eq!(browser.focused().await, "system-name", "what is wrong has the focus");
        browser.picture("system-wrong").await;
        browser.write("system-name", SYSTEM).await;
        browser.keys(ENTER).await;
        browser.find("//h1[normalize-space()='Acme <b>Sales</b>']").await;
        let made = self.lab.controller.cli(&["system", "show", SYSTEM]).await;
        for (field, value) in [
            ("display_name", json!("Acme <b>Sales</b>")),
            ("locale", json!("fr-CA")),
            ("association", json!(CLUSTER)),
            ("password_reset_by", json!("users_and_obo_user")),
            ("provisioning_option", json!("administrative")),
            ("hpam", json!(true)),
            ("transfer_of_accounts", json!(true)),
            ("owners", json!(["ada", "grace"])),
            ("categories", json!(["sales"])),
        ] {
            assert_eq!(made[field], value, "{field}");
        }
        self.is_quiet("a system is made with every field and the keyboard alone", &["422"]).await;
    }

    async fn tab_to(&self, id: &str) {
        for _ in 0..20 {
            if self.browser.focused().await == id {
                return;
            }
            self.browser.keys(TAB).await;
        }
        panic!("the keyboard does not get to {id}");
    }

    async fn only_eligible_clusters_can_be_chosen(&self) {
        let browser = &self.browser;
        self.go(&format!("#/systems/{SYSTEM}")).await;
        browser
            .find("//option[@value='empty' and @disabled and contains(., 'no registered and enabled member')]")
            .await;
        browser.find("//input[@id='system-name' and @disabled]").await;
        browser.choose("system-association", "server").await;
        browser.write("system-display_name", "Acme").await;
        browser.write("system-owners", "grace").await;
        browser.script(&ONE_ANSWER_IS_LATE.replace("{path}", "/v1/clusters")).await;
        browser.press("Save").await;
        browser.is_so("what the form is made anew of", "return Boolean(window.comes)").await;
        let is_said = browser.script("return document.body.innerText.includes('was saved')").await;
        assert_eq!(is_said, json!(false), "what was written on would be lost");
        browser.script("window.comes()").await;
        browser.says("was saved").await;
        browser.press("Test Connection").await;
        browser.find("//*[@id='connection']//*[contains(., 'server')]").await;
        browser.choose("system-association", CLUSTER).await;
        browser.write("system-locale", "not a locale!").await;
        browser.press("Save").await;
        browser.find("//p[@id='system-locale-error' and contains(., 'language')]").await;
        browser.write("system-locale", "en").await;
        browser.press("Save").await;
        wait_for("the system to be saved", async || {
            let saved = self.lab.controller.cli(&["system", "show", SYSTEM]).await;
            if saved["association"] == CLUSTER && saved["owners"] == json!(["grace"]) { Ok(()) } else { Err(saved) }
        })
        .await;
        self.is_quiet("only eligible clusters can be chosen, and what is edited is kept", &["422", "403", "409"]).await;
    }

    async fn the_connection_is_tested(&self) {
        let browser = &self.browser;
        self.go(&format!("#/systems/{SYSTEM}")).await;
        browser.press("Test Connection").await;
        browser.says("established successfully").await;
        browser.picture("system").await;
        let (code, message) = (Some("API_DISABLED_FOR_ORG".to_owned()), Some("API is not enabled".to_owned()));
        let what = Mishap::Respond { status: 403, code, message };
        self.lab.salesforce.inject(Fault { when: Matching::default(), what, times: None });
        browser.press("Test Connection").await;
        browser.says("failed").await;
        browser.says("What to do:").await;
        browser.picture("system-failed").await;
        self.lab.salesforce.clear_faults();
        self.is_quiet("the connection is tested, and what is wrong with it is said", &[]).await;
    }

    async fn a_password_is_sealed_in_the_browser(&self) {
        let browser = &self.browser;
        let joe = "user0001@acme.example";
        self.go(&format!("#/submit/reset_password/{SYSTEM}")).await;
        browser.write("task-account", joe).await;
        browser.press("Reset a password").await;
        browser.says("New password is missing.").await;
        browser.write("task-password", "S3aled-in-the-browser").await;
        browser.picture("submit").await;
        browser.press("Reset a password").await;
        browser.find("//h1/following-sibling::span[normalize-space()='succeeded']").await;
        assert!(self.lab.salesforce.password_is(joe, "S3aled-in-the-browser"));
        browser.picture("task").await;
        self.go(&format!("#/submit/reset_password/{SYSTEM}")).await;
        browser.write("task-account", joe).await;
        browser.choose("task-source", "generated").await;
        browser.press("Reset a password").await;
        browser.click("//button[@id='reveal']").await;
        let made_up = browser.text("//*[@id='password']").await;
        assert!(self.lab.salesforce.password_is(joe, &made_up), "what the page opened");
        assert!(!self.lab.controller.log().contains("S3aled-in-the-browser"));
        let place = browser.script("return location.hash").await;
        self.sign_out().await;
        self.sign_in(&self.token("otto", "operator").await).await;
        browser.script(&format!("location.hash = {place}")).await;
        browser.says("the key is not on this page").await;
        self.sign_out().await;
        self.sign_in_first().await;
        self.is_quiet("a password is sealed in the browser, and one made up is opened there", &[]).await;
    }

    async fn two_bad_records_of_an_import_are_seen(&self) {
        let browser = &self.browser;
        let file = self.lab.folder().join("users.csv");
        let good = (2..=9).map(|n| format!("user{n:04}@acme.example,modify,Lead,\n"));
        let rows: String = good.collect();
        let bad = "user0010@acme.example,modify,Lead,x\nnobody@acme.example,modify,Lead,\n";
        std::fs::write(&file, format!("Username,changetype,Title,Titel\n{rows}{bad}")).expect("a dataset");
        self.go(&format!("#/submit/import_batch/{SYSTEM}")).await;
        browser.press("Import a dataset").await;
        browser.says("choose a file").await;
        browser.attach("task-dataset", &file).await;
        browser.press("Import a dataset").await;
        browser.find("//h1/following-sibling::span[normalize-space()='partly']").await;
        browser.find("//h2[normalize-space()='Records']").await;
        wait_for("the two bad records", async || {
            let rows = browser.script("return document.querySelectorAll('#records tbody tr').length").await;
            if rows == json!(2) { Ok(()) } else { Err(rows) }
        })
        .await;
        browser.says("nobody@acme.example").await;
        browser.says("user0010@acme.example").await;
        browser.says("The entries that failed are below").await;
        browser.picture("import").await;
        browser.choose("only", "").await;
        browser.says("user0002@acme.example").await;
        self.an_answer_that_comes_too_late_is_not_shown().await;
        self.records_that_are_not_all_are_told_as_such().await;
        self.is_quiet("an import with two bad records shows the two", &[]).await;
    }

    /// Show it, and the two bad records stand where all were chosen.
    async fn an_answer_that_comes_too_late_is_not_shown(&self) {
        let browser = &self.browser;
        let rows = "return document.querySelectorAll('#records tbody tr').length";
        assert_eq!(browser.script(rows).await, json!(10));
        browser.script(&ONE_ANSWER_IS_LATE.replace("{path}", "/records?only=failed")).await;
        browser.choose("only", "failed").await;
        browser.is_so("the look at the two", "return Boolean(window.comes)").await;
        browser.script("document.querySelector('#records table').id = 'before'").await;
        browser.choose("only", "").await;
        browser.is_so("all to be shown anew", "return !document.getElementById('before')").await;
        browser.script("window.comes(); return fetch('/v1/whoami').then((it) => it.text())").await;
        assert_eq!(browser.script(rows).await, json!(10), "all, as was chosen last");
    }

    /// Say nothing, and what was never begun is taken for done.
    async fn records_that_are_not_all_are_told_as_such(&self) {
        let browser = &self.browser;
        let notice = "Not every entry has its record";
        let text = browser.script("return document.body.innerText").await;
        assert!(!text.as_str().unwrap_or_default().contains(notice), "{text}");
        browser.script(NOTHING_IS_WHOLE).await;
        browser.script("window.here = location.hash; location.hash = '#/tasks'").await;
        browser.find("//h1[normalize-space()='Tasks']").await;
        browser.script("location.hash = window.here").await;
        browser.says(notice).await;
    }

    async fn a_file_that_was_exported_is_opened_in_the_browser(&self) {
        let browser = &self.browser;
        let downloads = self.lab.folder().join("downloads");
        std::fs::create_dir_all(&downloads).expect("a folder for downloads");
        browser
            .devtools("Browser.setDownloadBehavior", json!({ "behavior": "allow", "downloadPath": downloads }))
            .await;
        self.go(&format!("#/submit/export/{SYSTEM}")).await;
        browser.press("Export records").await;
        browser.press("Open and save").await;
        // It is there before it is whole.
        wait_for("the file", async || {
            let text = std::fs::read_to_string(downloads.join(format!("{SYSTEM}-export.csv")));
            if text.as_ref().is_ok_and(|it| it.contains("user0001@acme.example")) { Ok(()) } else { Err(text) }
        })
        .await;
        self.is_quiet("a file that was exported is opened in the browser", &[]).await;
    }

    /// Have `fill` of `dom.js` put nothing off, or not for a key, and the page that is drawn anew takes the button away.
    async fn a_press_outlives_what_happens_meanwhile(&self) {
        let browser = &self.browser;
        let disable = "//button[starts-with(@id, 'disable-')]";
        let cancel = "//dialog//button[normalize-space()='Cancel']";
        let members = self.lab.controller.cli(&["member", "list"]).await;
        let member = members[0]["id"].as_str().expect("a member");
        self.go("#/members").await;
        let asked =
            "return performance.getEntriesByType('resource').filter((it) => it.name.includes('/v1/members')).length";
        for (act, now, hold) in [("drain", "draining", Hold::Pointer), ("enable", "enabled", Hold::Space)] {
            let before = browser.script(asked).await;
            browser.hold(hold, disable).await;
            // From the page, which is quick: a press that lasts for seconds puts nothing off any more.
            browser
                .script(&format!("import('/console/api.js').then(({{ post }}) => post('/v1/members/{member}/{act}'))"))
                .await;
            wait_for("the page to look again", async || {
                let after = browser.script(asked).await;
                if after == before { Err(after) } else { Ok(()) }
            })
            .await;
            browser.release().await;
            browser.click(cancel).await;
            browser.find(&format!("//span[contains(@class, 'badge') and normalize-space()='{now}']")).await;
        }
        self.is_quiet("a press outlives what happens meanwhile, of a pointer or a key", &[]).await;
    }

    /// Take the second click for another, or give the focus to what has come to the place of the button, and what was drained works
    /// on.
    async fn a_second_press_is_not_for_what_comes_next(&self) {
        let browser = &self.browser;
        let (drain, enable) = ("//button[starts-with(@id, 'drain-')]", "//button[starts-with(@id, 'enable-')]");
        let is_drained = async || {
            browser.find(enable).await;
            // Whatever else was asked for is answered by then.
            self.go("#/members").await;
            assert_eq!(self.first_member().await["state"], json!("draining"));
            browser.click(enable).await;
            browser.find(drain).await;
        };
        self.go("#/members").await;
        browser.click_twice(drain, enable).await;
        is_drained().await;
        browser.script("document.querySelector('[id^=drain-]').focus()").await;
        browser.keys(ENTER).await;
        browser.find(enable).await;
        let focused = browser.script("return document.activeElement.localName").await;
        assert_eq!(focused, json!("div"), "what held the button");
        browser.keys(ENTER).await;
        is_drained().await;
        self.is_quiet("a second press is not for what comes next, of a pointer or a key", &[]).await;
    }

    async fn every_page_fits_a_phone_in_light_and_dark(&self) {
        let import = self.lab.controller.cli(&["task", "list", "--limit", "3"]).await;
        let task = import.as_array().into_iter().flatten().find(|it| it["kind"] == "import_batch").cloned();
        let task = task.expect("the import")["id"].as_str().expect("its id").to_owned();
        let members = self.lab.controller.cli(&["member", "list"]).await;
        let member = members[0]["id"].as_str().expect("a member").to_owned();
        let places = [
            ("overview", String::new()),
            ("members", "#/members".to_owned()),
            ("member", format!("#/members/{member}")),
            ("systems", "#/systems".to_owned()),
            ("system", format!("#/systems/{SYSTEM}")),
            ("tasks", "#/tasks".to_owned()),
            ("import", format!("#/tasks/{task}")),
            ("submit", format!("#/submit/import_batch/{SYSTEM}")),
            ("audit", "#/audit".to_owned()),
            ("tokens", "#/tokens".to_owned()),
            ("roots", "#/roots".to_owned()),
        ];
        for (name, place) in &places {
            self.go(place).await;
            self.fits_a_phone_in_light_and_dark(name).await;
        }
        self.is_quiet("every page fits a phone, in light and dark", &[]).await;
    }

    /// The page as it is now.
    async fn fits_a_phone_in_light_and_dark(&self, name: &str) {
        for (width, scheme) in [(PHONE, "light"), (PHONE, "dark"), (DESK, "dark"), (DESK, "light")] {
            self.browser.width(width).await;
            self.browser.prefers(scheme).await;
            upkeep::fits(&self.browser, name).await;
            self.browser.picture(&format!("{name}-{width}-{scheme}")).await;
        }
    }

    async fn a_member_is_disabled_and_revoked(&mut self) {
        let browser = &self.browser;
        self.go("#/members").await;
        browser.click("//button[starts-with(@id, 'disable-')]").await;
        browser.click("//dialog//button[normalize-space()='Cancel']").await;
        browser.find("//button[starts-with(@id, 'disable-')]").await;
        browser.click("//button[starts-with(@id, 'disable-')]").await;
        browser.click("//dialog//button[normalize-space()='Disable']").await;
        browser.find("//span[contains(@class, 'badge') and normalize-space()='disabled']").await;
        browser.picture("member-disabled").await;
        browser.click("//button[starts-with(@id, 'enable-')]").await;
        browser.find("//button[starts-with(@id, 'disable-')]").await;
        browser.click("//button[starts-with(@id, 'revoke-')]").await;
        browser.picture("member-revoke").await;
        browser.click("//input[@id='confirm-check']").await;
        browser.click("//dialog//button[normalize-space()='Revoke']").await;
        browser.find("//span[contains(@class, 'badge') and normalize-space()='revoked']").await;
        self.is_quiet("a member is disabled, enabled and revoked", &[]).await;
    }

    async fn every_act_stands_in_the_audit_log(&self) {
        self.go("#/audit").await;
        for act in ["member.revoke", "member.disable", "ca.rotate", "api_token.revoke", "task.reseal"] {
            self.browser.says(act).await;
        }
        self.browser.picture("audit").await;
        self.is_quiet("every act stands in the audit log", &[]).await;
    }

    async fn a_viewer_sees_why_not(&self) {
        let browser = &self.browser;
        browser.press("Sign out").await;
        self.sign_in(&self.token("vera", "viewer").await).await;
        self.go("#/members").await;
        let off = "@aria-disabled and contains(@title, 'needs the role administrator')";
        browser.find(&format!("//button[starts-with(@id, 'token-') and {off}]")).await;
        browser.says("the token “vera” has the role viewer").await;
        browser.picture("viewer-members").await;
        self.go(&format!("#/systems/{SYSTEM}")).await;
        browser.find("//button[@id='test-connection' and @aria-disabled]").await;
        browser.find("//input[@id='system-display_name' and @disabled]").await;
        browser.picture("viewer-system").await;
        self.go("#/audit").await;
        browser.says("needs the role administrator").await;
        self.go(&format!("#/submit/disable_user/{SYSTEM}")).await;
        browser.says("needs the role operator").await;
        self.is_quiet("a viewer sees why not", &["401"]).await;
    }

    async fn a_session_ends_with_its_token(&self) {
        self.go("#/submit").await;
        self.lab.controller.cli(&["api-token", "revoke", "vera"]).await;
        // A link may be gone before it is clicked: whichever comes first, the stream's end or the next page, finds out.
        self.browser.script("location.hash = '#/systems'").await;
        self.browser.says("The session has ended").await;
        self.browser.picture("session-ended").await;
        self.is_quiet("a session ends with its token", &["401"]).await;
    }
}
