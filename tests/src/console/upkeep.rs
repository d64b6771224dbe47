//! The chapters of what goes on after the first day.

use serde_json::{Value, json};

use super::{Walk, browser::Browser};
use crate::lab::{AgentOptions, CLUSTER, SYSTEM, SignIn};
use crate::{Agent, wait_for};

/// Names that nobody would choose, unless to see what becomes of the page.
const HOSTILE: [&str; 4] = [
    "<img src=x onerror=alert(1)><script>alert(2)</script>",
    "unbroken-unbroken-unbroken-unbroken-unbroken-unbroken-unbroken-unbroken-unbroken-unbroken-unbroken-unbroken",
    "\u{645}\u{631}\u{62d}\u{628}\u{627} \u{202e}desrever",
    "\u{1f980}\u{1f469}\u{200d}\u{1f4bb} `` \"'&lt;",
];

/// Answers for a controller with a thousand members, in the page that asks: no host has the memory for a thousand agents.
const A_THOUSAND: &str = "
    const [like] = (await (await fetch('/v1/members')).json()).items;
    const members = Array.from({ length: 1000 }, (_, at) => ({ ...like, id: `mbr_${String(at).padStart(32, '0')}`, host: `host-${at}` }));
    const real = window.fetch;
    window.fetch = async (path, ...more) => {
        if (!path.startsWith('/v1/members?')) return real(path, ...more);
        const at = Number(new URLSearchParams(path.split('?')[1]).get('cursor') ?? 0);
        const next = at + 200 < members.length ? String(at + 200) : undefined;
        return new Response(JSON.stringify({ items: members.slice(at, at + 200), next }));
    };
    location.hash = '#/members';";

/// Three members show newer certificates, one of them beside another.
const RESTORED: &str = "
    const [like] = (await (await fetch('/v1/members')).json()).items;
    const newer = (at) => ({ fingerprint: Array(16).fill(`${at}f2c`).join(':'), serial: `${at}`, valid_from: 1, valid_until: 2, shown: 3, address: '192.0.2.7' });
    const members = [[newer(1)], [newer(2)], [newer(3), newer(4)]].map((newer_certificates, at) =>
        ({ ...like, id: `mbr_${String(at).padStart(32, '0')}`, host: `host-${at}`, connected: false, newer_certificates }));
    const real = window.fetch;
    window.accepted = [];
    window.fetch = async (path, how) => {
        if (path.startsWith('/v1/members?')) return new Response(JSON.stringify({ items: members }));
        const [, id, act] = path.match(/^\\/v1\\/members\\/(mbr_0+.)(\\/accept)?$/) ?? [];
        if (!id) return real(path, how);
        const member = members.find((it) => it.id === id);
        if (act) {
            window.accepted.push(JSON.parse(how.body).fingerprint);
            member.newer_certificates = [];
        }
        return new Response(JSON.stringify(member));
    };
    location.hash = '#/members';";

/// Whether the page was told the systems twice: when it was made, and when it began to listen.
const HAS_LOOKED_ANEW: &str = "return performance.getEntriesByType('resource')
    .filter((it) => new URL(it.name).pathname === '/v1/systems').length >= 2";

/// A member that the controller disabled by itself.
const ALARMED: &str = "
    const [like] = (await (await fetch('/v1/members')).json()).items;
    const member = { ...like, id: `mbr_${'0'.repeat(32)}`, host: 'host-0', state: 'disabled', alarm: 'two agents use its identity' };
    const real = window.fetch;
    window.enabled = 0;
    window.fetch = async (path, how) => {
        if (path.startsWith('/v1/members?')) return new Response(JSON.stringify({ items: [member] }));
        if (!path.startsWith(`/v1/members/${member.id}`)) return real(path, how);
        if (how.method === 'POST') window.enabled += 1;
        return new Response(JSON.stringify(member));
    };
    location.hash = '#/members';";

/// What is asked for next is made, and nobody hears of it.
const AN_ANSWER_IS_LOST: &str = "
    const real = window.fetch;
    window.fetch = async (path, how) => {
        const answer = await real(path, how);
        if (path !== '{path}' || how.method !== 'POST') return answer;
        window.fetch = real;
        throw new TypeError('lost');
    };";

/// What is asked for next is made, and whoever is in between has no answer.
const A_PROXY_HAS_NO_ANSWER: &str = "
    const real = window.fetch;
    window.fetch = async (path, how) => {
        const answer = await real(path, how);
        if (path !== '{path}' || how.method !== 'POST') return answer;
        window.fetch = real;
        return new Response('<html>', { status: 502 });
    };";

/// What is asked for next is made, and the session has ended when the answer comes.
const THE_SESSION_ENDS_MEANWHILE: &str = "
    const real = window.fetch;
    window.fetch = async (path, how) => {
        const answer = await real(path, how);
        if (path !== '{path}' || how.method !== 'POST') return answer;
        window.fetch = real;
        return new Response('{}', { status: 401 });
    };";

/// Whoever signs out is not answered, or by a proxy alone.
const NOBODY_SIGNS_OUT: &str = "
    const real = window.fetch;
    window.asked = 0;
    window.fetch = async (path, how) => {
        if (path !== '/console/session' || how.method !== 'DELETE') return real(path, how);
        window.asked += 1;
        if (window.asked > 1) return new Response('<html>', { status: 502 });
        throw new TypeError('lost');
    };";

/// A member tells of a log level that lasts for ages.
const NO_MOMENT: &str = "
    const real = window.fetch;
    window.fetch = async (path, how) => {
        const answer = await real(path, how);
        if (path !== '/v1/members/{member}') return answer;
        const member = await answer.json();
        member.served[0].now = { ...member.served[0].now, waiting: {}, log_level_until: 2 ** 64 };
        return new Response(JSON.stringify(member));
    };
    location.hash = '#/members/{member}';";

impl Walk {
    pub(super) async fn a_member_is_shown_whole(&self) {
        let browser = &self.browser;
        let told = self.first_member().await;
        self.go("#/members").await;
        browser.click(&format!("//a[@id='open-{}']", told["id"].as_str().expect("an id"))).await;
        assert_eq!(json!(browser.text("//*[@id='fingerprint']").await), told["fingerprint"]);
        for words in ["Certificate until", "no reports", "oauth-client-credentials", "Sign-in", "Secure connection"] {
            browser.says(words).await;
        }
        let moments =
            browser.script("return [...document.querySelectorAll('main time')].map((it) => it.textContent)").await;
        let moments: Vec<&str> = moments.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert!(moments.len() >= 3 && moments.iter().all(|it| it.ends_with("UTC")), "{moments:?}");
        browser.picture("member").await;
        self.is_quiet("a member is shown whole", &[]).await;
    }

    /// Take it for one, and the page cannot be shown to anybody.
    pub(super) async fn what_is_no_moment_is_shown_as_a_dash(&self) {
        let browser = &self.browser;
        let member = self.first_member().await["id"].as_str().expect("an id").to_owned();
        self.go("").await;
        browser.script(&NO_MOMENT.replace("{member}", &member)).await;
        browser.says("until –").await;
        browser.find("//*[@id='fingerprint']").await;
        self.go("").await;
        self.is_quiet("what is no moment is shown as a dash", &[]).await;
    }

    /// Members have a say in what is looked up in tables, and every object has a `constructor`.
    pub(super) async fn words_that_every_object_has_are_said_as_they_are(&self) {
        let told = self
            .browser
            .script(
                "return import('/console/words.js').then((it) => ['constructor', '__proto__'].map((word) => \
                 [it.outcome(word).word, it.state(word).word, it.certainty(word), it.changed(word), it.outcomeSentence(word)]))",
            )
            .await;
        let as_they_are = ["constructor", "__proto__"].map(|word| json!([word, word, word, word, ""]));
        assert_eq!(told, json!(as_they_are));
        self.is_quiet("words that every object has are said as they are", &[]).await;
    }

    pub(super) async fn first_member(&self) -> Value {
        self.lab.controller.cli(&["member", "list"]).await[0].take()
    }

    /// The second of them stays, and rests.
    pub(super) async fn it_is_told_where_members_differ(&self) -> Agent {
        let browser = &self.browser;
        let options = AgentOptions { sign_in: SignIn::Jwt, ..AgentOptions::default() };
        let mut other = self.lab.agent_with("agent-2", options);
        other.enroll(&self.lab.controller).await;
        other.start().await;
        self.go(&format!("#/systems/{SYSTEM}")).await;
        self.lab.controller.approve(other.member()).await;
        browser.says("Members differ in: Sign-in").await;
        browser.picture("system-differing").await;
        self.lab.controller.cli(&["member", "disable", other.member()]).await;
        self.is_quiet("it is told where the members of a system differ", &[]).await;
        other
    }

    pub(super) async fn two_people_edit_the_same_system(&self) {
        let browser = &self.browser;
        let beside = async |field: &str, text: &str| {
            self.lab.controller.cli(&["system", "edit", SYSTEM, field, text]).await;
        };
        let save = async |name: &str| {
            browser.write("system-display_name", name).await;
            browser.press("Save").await;
        };
        let is_saved = async |name: &str| {
            browser.press("Save").await;
            browser.find(&format!("//h1[normalize-space()='{name}']")).await;
        };
        self.go(&format!("#/systems/{SYSTEM}")).await;
        beside("--description", "Theirs").await;
        save("Mine").await;
        browser.says("Somebody else changed this system meanwhile (Description)").await;
        is_saved("Mine").await;
        beside("--display-name", "Theirs").await;
        save("Mine again").await;
        browser.find("//p[@id='system-display_name-error' and contains(., 'meanwhile to “Theirs”')]").await;
        browser.picture("system-stale").await;
        is_saved("Mine again").await;
        let saved = self.lab.controller.cli(&["system", "show", SYSTEM]).await;
        assert_eq!((&saved["display_name"], &saved["description"]), (&json!("Mine again"), &json!("Theirs")));
        // Nobody else did what was done and not heard of.
        browser.script(&AN_ANSWER_IS_LOST.replace("{path}", &format!("/v1/systems/{SYSTEM}"))).await;
        save("Mine for good").await;
        browser.says("The controller does not answer").await;
        is_saved("Mine for good").await;
        browser.says("was saved").await;
        beside("--display-name", "Acme").await;
        self.is_quiet("two people edit the same system, and neither undoes what the other did", &["409"]).await;
    }

    pub(super) async fn a_system_has_texts_in_other_languages(&self) {
        let browser = &self.browser;
        self.go(&format!("#/systems/{SYSTEM}")).await;
        browser.click("//summary[normalize-space()='Write them in a language']").await;
        browser.write("texts-in", "en").await;
        browser.write("texts-display_name", "Le CRM").await;
        // What is half written of one form outlives the saving of another.
        browser.write("system-description", "Ours").await;
        browser.press("Save").await;
        browser.says("was saved").await;
        browser.press("Save the texts").await;
        browser.find("//p[@id='texts-in-error' and contains(., 'own language')]").await;
        browser.write("texts-in", "fr").await;
        browser.press("Save the texts").await;
        browser.find("//td[normalize-space()='Le CRM']").await;
        browser.picture("system-texts").await;
        browser.press("Remove the texts in fr").await;
        browser.click("//dialog[contains(., 'Le CRM')]//button[normalize-space()='Remove']").await;
        browser.says("everybody sees those in en").await;
        self.is_quiet("a system has texts in other languages", &[]).await;
    }

    pub(super) async fn more_is_logged_for_a_while(&self) {
        let browser = &self.browser;
        self.go(&format!("#/systems/{SYSTEM}")).await;
        browser.choose("log-level-level", "debug").await;
        browser.choose("log-level-for_secs", "300").await;
        browser.press("Log so").await;
        browser.says("Wanted now: debug until").await;
        browser.find("//li[contains(., 'holds here')]").await;
        browser.picture("system-log-level").await;
        browser.press("As configured").await;
        wait_for("the level to be the configured one", async || {
            let system = self.lab.controller.cli(&["system", "show", SYSTEM]).await;
            let is_over = browser.has("//button[@id='log-level-back']").await;
            if system["log_level_order"].is_null() && !is_over { Ok(()) } else { Err(system) }
        })
        .await;
        self.is_quiet("more is logged of a system for a while", &[]).await;
    }

    pub(super) async fn a_token_is_made_and_revoked(&self) {
        let browser = &self.browser;
        self.go("#/tokens").await;
        browser.write("token-name", "not good").await;
        browser.press("Make token").await;
        browser.find("//input[@id='token-name' and @aria-invalid]").await;
        browser.write("token-name", "tess").await;
        browser.choose("token-role", "operator").await;
        browser.script(&AN_ANSWER_IS_LOST.replace("{path}", "/v1/api-tokens")).await;
        browser.press("Make token").await;
        browser.says("The controller does not answer").await;
        browser.script(&A_PROXY_HAS_NO_ANSWER.replace("{path}", "/v1/api-tokens")).await;
        browser.press("Make token").await;
        browser.says("The controller answered 502").await;
        browser.script(&THE_SESSION_ENDS_MEANWHILE.replace("{path}", "/v1/api-tokens")).await;
        browser.press("Make token").await;
        browser.says("The session has ended").await;
        self.sign_in_first().await;
        browser.press("Make token").await;
        assert!(browser.text("//*[@id='api-token']").await.starts_with("apt_"), "it is shown once");
        browser.picture("tokens").await;
        let names = async || {
            let tokens = self.lab.controller.cli(&["api-token", "list"]).await;
            let named = tokens.as_array().into_iter().flatten().filter(|it| it["name"] == "tess");
            named.map(|it| it["role"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(names().await, [json!("operator")]);
        browser.press("Revoke tess").await;
        browser.click("//dialog//button[normalize-space()='Revoke']").await;
        browser.says("tess was revoked").await;
        assert_eq!(names().await, Vec::<Value>::new());
        self.is_quiet("a token of the API is made and revoked", &["422"]).await;
    }

    /// Sealed to a member that is thrown out before it had them.
    pub(super) async fn tasks_that_nobody_can_open_are_sealed_again(&self, lost: &mut Agent, other: &Agent) {
        let browser = &self.browser;
        let (controller, joe) = (&self.lab.controller, "user0003@acme.example");
        let here = async || browser.script("return location.hash").await.as_str().expect("a place").to_owned();
        let gone = self.first_member().await["id"].as_str().expect("an id").to_owned();
        let file = self.lab.folder().join("again.csv");
        std::fs::write(&file, format!("Username,changetype,Title\n{joe},modify,Sealed again\n")).expect("a dataset");
        lost.kill().await;
        self.go(&format!("#/submit/import_batch/{SYSTEM}")).await;
        let mut imports = Vec::new();
        for _ in 0..2 {
            self.turn_to(&format!("#/submit/import_batch/{SYSTEM}"), "Submit a task").await;
            browser.attach("task-dataset", &file).await;
            browser.press("Import a dataset").await;
            browser.find("//button[@id='cancel']").await;
            imports.push(here().await);
        }
        self.turn_to(&format!("#/submit/reset_password/{SYSTEM}"), "Submit a task").await;
        browser.write("task-account", joe).await;
        browser.write("task-password", "S3aled-for-nobody").await;
        browser.press("Reset a password").await;
        browser.find("//button[@id='cancel']").await;
        controller.cli(&["member", "revoke", &gone]).await;
        browser.says("has no enabled member to seal to").await;
        browser.picture("reseal-nobody").await;
        controller.cli(&["member", "enable", other.member()]).await;
        browser.find("//form[@id='reseal']//input[not(@disabled)]").await;
        browser.press("Seal again").await;
        browser.says("New password is missing.").await;
        browser.write("reseal-password", "S3aled-once-more").await;
        browser.picture("reseal").await;
        browser.press("Seal again").await;
        browser.find("//h1/following-sibling::span[normalize-space()='succeeded']").await;
        assert!(self.lab.salesforce.password_is(joe, "S3aled-once-more"));
        assert!(!browser.has("//form[@id='reseal']").await, "there is nothing to seal any more");

        self.turn_to(&imports[0], "Import a dataset").await;
        self.fits_a_phone_in_light_and_dark("reseal-dataset").await;
        browser.press("Seal the key of the dataset again").await;
        browser.find("//h1/following-sibling::span[normalize-space()='succeeded']").await;
        browser.says("No entry failed.").await;
        assert!(!browser.has("//form[@id='reseal']").await, "there is nothing to seal any more");
        browser.picture("resealed-dataset").await;
        self.go(&imports[1]).await;
        browser.says("The key of its dataset is not on this page").await;
        browser.picture("reseal-dataset-without-key").await;
        browser.press("Cancel").await;
        browser.click("//dialog//button[normalize-space()='Cancel the task']").await;
        browser.find("//h1/following-sibling::span[normalize-space()='cancelled']").await;
        controller.cli(&["member", "remove", &gone]).await;
        self.is_quiet("tasks that nobody can open are sealed again", &[]).await;
    }

    pub(super) async fn one_root_takes_the_place_of_another(&self) {
        let browser = &self.browser;
        let step = async |label: &str, word: &str| {
            let yes = format!("//dialog//button[normalize-space()='{label}']");
            wait_for(&format!("the question before `{label}`"), async || {
                // Nobody is left behind: what members have to do before is waited for.
                browser.press(label).await;
                if browser.has(&yes).await { Ok(()) } else { Err("the page was drawn anew under the click") }
            })
            .await;
            browser.click(&yes).await;
            browser.find(&format!("//h1/following-sibling::span[normalize-space()='{word}']")).await;
            browser
                .find("//section[h2[normalize-space()='Next steps'] and not(.//*[contains(@class, 'notice')])]")
                .await;
        };
        self.go("#/roots").await;
        step("Begin a rotation", "rotation begun").await;
        step("Take the last step back", "no rotation").await;
        step("Begin a rotation", "rotation begun").await;
        step("Let the new root sign", "rotation switched").await;
        self.fits_a_phone_in_light_and_dark("roots-switched").await;
        step("Trust the new root alone", "no rotation").await;
        let status = self.lab.controller.cli(&["ca", "status"]).await;
        let [signs, others @ ..] = status["roots"].as_array().expect("roots").as_slice() else { panic!("{status}") };
        assert_eq!((&signs["number"], &signs["role"], &signs["certificates"]), (&json!(3), &json!("signs"), &json!(1)));
        assert!(others.iter().all(|it| it["role"] == "kept"), "{status}");
        self.is_quiet("one root takes the place of another", &[]).await;
    }

    /// Leave the page to whoever signs in next, and somebody else reads the password.
    pub(super) async fn what_is_being_written_outlives_the_session(&self) {
        let browser = &self.browser;
        let (joe, place) = ("user0011@acme.example", format!("#/submit/reset_password/{SYSTEM}"));
        let written = async || {
            let script = "return ['account', 'password'].map((it) => document.getElementById(`task-${it}`).value)";
            browser.script(script).await
        };
        let is_interrupted = async |password: &str| {
            self.go(&place).await;
            browser.write("task-account", joe).await;
            browser.write("task-password", password).await;
            let ended =
                browser.script("return fetch('/console/session', { method: 'DELETE' }).then((it) => it.status)");
            assert_eq!(ended.await, json!(204));
            browser.press("Reset a password").await;
            browser.says("Sign in again to go on where you were.").await;
        };
        is_interrupted("Wr1tten-by-another").await;
        let otto = self.token("otto-too", "operator").await;
        self.sign_in(&otto).await;
        browser.find("//form[@id='task']").await;
        assert_eq!(written().await, json!(["", ""]), "nothing of somebody else's");
        self.sign_out().await;
        self.sign_in_first().await;
        is_interrupted("Wr1tten-before").await;
        browser.picture("interrupted").await;
        self.sign_in_first().await;
        browser.find("//form[@id='task']").await;
        assert_eq!(written().await, json!([joe, "Wr1tten-before"]));
        browser.picture("resumed").await;
        let stored = "return [localStorage.length, sessionStorage.length, document.cookie]";
        assert_eq!(browser.script(stored).await, json!([0, 0, ""]));
        browser.script(&AN_ANSWER_IS_LOST.replace("{path}", "/v1/tasks")).await;
        browser.press("Reset a password").await;
        browser.says("It may have taken the task in").await;
        self.turn_to("#/tasks", "Tasks").await;
        browser.find(&format!("//tr[td[contains(., '{joe}')]]//span[normalize-space()='succeeded']")).await;
        assert!(self.lab.salesforce.password_is(joe, "Wr1tten-before"));
        self.is_quiet("what is being written outlives the session, for whoever wrote it alone", &["401"]).await;
    }

    /// Keep the key once the answer is there, and the account has a password that nobody will ever know.
    pub(super) async fn what_a_lost_answer_was_about_can_be_opened(&self) {
        let browser = &self.browser;
        let lost = [(AN_ANSWER_IS_LOST, "user0012@acme.example"), (A_PROXY_HAS_NO_ANSWER, "user0013@acme.example")];
        for (script, account) in lost {
            self.turn_to(&format!("#/submit/reset_password/{SYSTEM}"), "Submit a task").await;
            browser.write("task-account", account).await;
            browser.choose("task-source", "generated").await;
            browser.script(&script.replace("{path}", "/v1/tasks")).await;
            browser.press("Reset a password").await;
            browser.says("It may have taken the task in").await;
            self.turn_to("#/tasks", "Tasks").await;
            browser.click(&format!("//tr[td[contains(., '{account}')]]//a")).await;
            browser.click("//button[@id='reveal']").await;
            let made_up = browser.text("//*[@id='password']").await;
            assert!(self.lab.salesforce.password_is(account, &made_up), "what the page opened");
        }
        self.is_quiet("what a lost answer was about can be opened", &[]).await;
    }

    /// Say that they are, and whoever comes to that browser next goes on in their name.
    pub(super) async fn whoever_is_not_signed_out_is_told_so(&self) {
        let browser = &self.browser;
        self.go("#/submit").await;
        browser.script(NOBODY_SIGNS_OUT).await;
        for (asked, words) in [(1, "The controller does not answer"), (2, "The controller answered 502")] {
            browser.press("Sign out").await;
            browser.says("You may still be signed in").await;
            browser.says(words).await;
            assert_eq!(browser.script("return window.asked").await, json!(asked));
            assert!(browser.has("//h1[normalize-space()='Submit a task']").await, "the page stays");
        }
        self.go("#/submit").await;
        browser.find("//button[@id='sign-out']").await;
        self.sign_out().await;
        self.go("#/submit").await;
        browser.find("//input[@id='sign-in-token']").await;
        self.sign_in_first().await;
        self.is_quiet("whoever is not signed out is told so", &["401"]).await;
    }

    /// Wait for ever, and nobody is told anything. A file may take as long as it does.
    pub(super) async fn what_is_not_answered_is_given_up(&self) {
        let browser = &self.browser;
        self.go(&format!("#/systems/{SYSTEM}")).await;
        browser.script("AbortSignal.timeout = () => AbortSignal.abort()").await;
        browser.press("Test Connection").await;
        browser.says("The controller does not answer").await;
        let file = "return import('/console/api.js').then(({ download }) => download('/v1/status')).then((it) => it.length > 0)";
        assert_eq!(browser.script(file).await, json!(true));
        self.go("").await;
        self.is_quiet("what is not answered is given up", &[]).await;
    }

    /// Have each of them listen, and with the sixth the browser asks for nothing any more.
    pub(super) async fn windows_that_nobody_sees_hold_up_none(&self) {
        let browser = &self.browser;
        let first = browser.window().await;
        let mut others = Vec::new();
        for _ in 0..6 {
            others.push(browser.open_window().await);
            self.go("#/systems").await;
            // The look that follows the beginning of the stream is made also by a page that was hidden meanwhile.
            browser.is_so("the page to look anew, as it listens", HAS_LOOKED_ANEW).await;
            browser.hide_window().await;
        }
        browser.turn_to_window(&first).await;
        self.go("#/systems").await;
        browser.says("Acme").await;
        self.lab.controller.cli(&["system", "edit", SYSTEM, "--display-name", "Acme anew"]).await;
        browser.says("Acme anew").await;
        for other in &others {
            browser.turn_to_window(other).await;
            assert!(!browser.has("//main[contains(., 'Acme anew')]").await, "nobody sees it");
        }
        browser.show_window().await;
        browser.says("Acme anew").await;
        self.lab.controller.cli(&["system", "edit", SYSTEM, "--display-name", "Acme"]).await;
        browser.find("//main[not(contains(., 'Acme anew'))]//h1").await;
        for other in &others {
            browser.turn_to_window(other).await;
            browser.close_window().await;
        }
        browser.turn_to_window(&first).await;
        self.is_quiet("windows that nobody sees hold up none", &[]).await;
    }

    /// Go on as whoever was there before, and what is done stands under another name in the audit log.
    pub(super) async fn who_signs_in_in_one_window_is_signed_in_in_all(&self) {
        let browser = &self.browser;
        let first = browser.window().await;
        let vivi = self.token("vivi", "viewer").await;
        let otto = self.token("otto-again", "operator").await;
        self.go("#/members").await;
        browser.find("//button[starts-with(@id, 'token-') and not(@aria-disabled)]").await;
        let other = browser.open_window().await;
        self.go("#/members").await;
        browser.script("dispatchEvent(new CustomEvent('signedout'))").await;
        self.sign_in(&vivi).await;
        browser.turn_to_window(&first).await;
        browser.find("//*[@id='account' and contains(., 'vivi')]").await;
        browser.says("vivi has signed in in another window").await;
        browser.find("//button[starts-with(@id, 'token-') and @aria-disabled]").await;
        // A page of an older console tells no other.
        browser.hide_window().await;
        browser.turn_to_window(&other).await;
        let body = json!({ "token": otto }).to_string();
        let sign_in = format!(
            "return fetch('/console/session', {{ method: 'POST', headers: {{ 'Content-Type': 'application/json' }}, \
             body: '{body}' }}).then((it) => it.status)"
        );
        assert_eq!(browser.script(&sign_in).await, json!(204));
        browser.close_window().await;
        browser.turn_to_window(&first).await;
        browser.show_window().await;
        browser.find("//*[@id='account' and contains(., 'otto-again')]").await;
        self.sign_out().await;
        self.sign_in_first().await;
        self.is_quiet("who signs in in one window is signed in in all", &["401"]).await;
    }

    pub(super) async fn the_controller_is_killed_and_started_again(&mut self) {
        self.go("#/members").await;
        self.lab.controller.kill().await;
        self.browser.says("Nothing is heard from the controller since").await;
        self.browser.picture("away").await;
        self.lab.controller.restart().await;
        self.browser.says("The session has ended").await;
        self.sign_in_first().await;
        self.browser.find("//h1[normalize-space()='Clusters and members']").await;
        self.browser.find("//td[@data-name='Session']//span[normalize-space()='connected']").await;
        assert!(!self.browser.has("//*[@id='away' and not(@hidden)]").await, "it is heard again");
        // A page that hears nothing finds out as well.
        self.go("#/submit").await;
        self.lab.controller.kill().await;
        self.browser.says("Nothing is heard from the controller since").await;
        self.lab.controller.restart().await;
        self.browser.says("The session has ended").await;
        self.sign_in_first().await;
        self.browser.find("//h1[normalize-space()='Submit a task']").await;
        let expected = ["401", "net::ERR_", "EventSource"];
        self.is_quiet("the controller is killed and started again, and the console says so", &expected).await;
    }

    pub(super) async fn hostile_names_stay_text_and_within_their_page(&self) {
        let browser = &self.browser;
        let hostile = ["hostile", "--display-name", HOSTILE[0], "--description", HOSTILE[1]];
        self.lab.controller.cli(&[&["system", "add"], &hostile[..], &["--with", CLUSTER]].concat()).await;
        for name in HOSTILE {
            self.lab.controller.cli(&["system", "edit", "hostile", "--owner", name, "--category", name]).await;
        }
        for place in ["#/systems", "#/systems/hostile", "#/submit/validate_user/hostile", "#/audit"] {
            self.go(place).await;
            for width in [super::PHONE, super::DESK] {
                browser.width(width).await;
                fits(browser, place).await;
            }
        }
        self.go("#/systems").await;
        browser.says(HOSTILE[0]).await;
        browser.picture("systems-hostile").await;
        self.lab.controller.cli(&["system", "remove", "hostile"]).await;
        self.is_quiet("hostile names stay text, and within their page", &[]).await;
    }

    pub(super) async fn a_thousand_members_can_be_looked_through(&self) {
        let browser = &self.browser;
        self.go("").await;
        browser.script(A_THOUSAND).await;
        browser.says("1,000 members").await;
        let rows = async |wanted: usize| {
            wait_for(&format!("{wanted} rows"), async || {
                let rows = browser.script("return document.querySelectorAll('main tbody tr').length").await;
                if rows == json!(wanted) { Ok(()) } else { Err(rows) }
            })
            .await;
        };
        // No more than somebody looks at.
        rows(25).await;
        browser.press("Show more of 1,000").await;
        rows(50).await;
        browser.write("member-words", "host-987").await;
        rows(1).await;
        browser.says("host-987").await;
        browser.picture("members-thousand").await;
        browser.choose("member-state", "pending").await;
        browser.says("No such members.").await;
        self.go("").await;
        self.is_quiet("a thousand members can be looked through", &[]).await;
    }

    pub(super) async fn a_member_with_an_alarm_is_enabled_after_a_question(&self) {
        let browser = &self.browser;
        let enabled = async || browser.script("return window.enabled").await;
        self.go("").await;
        browser.script(ALARMED).await;
        browser.press("Enable host-0").await;
        browser.find("//dialog[contains(., 'two agents use its identity')]").await;
        assert_eq!(enabled().await, json!(0));
        browser.click("//dialog//button[normalize-space()='Enable']").await;
        browser.says("host-0 is enabled").await;
        assert_eq!(enabled().await, json!(1));
        self.go("").await;
        self.is_quiet("a member with an alarm is enabled after a question", &[]).await;
    }

    pub(super) async fn newer_certificates_are_accepted(&self) {
        let browser = &self.browser;
        let accepted = async || browser.script("return window.accepted.map((it) => it[0])").await;
        self.go("").await;
        browser.script(RESTORED).await;
        browser.says("Certificates of 3 members wait to be accepted").await;
        browser.says("Of 1 member more than one is in use").await;
        browser.press("Accept 2 certificates").await;
        browser.click("//input[@id='confirm-check']").await;
        for width in [super::PHONE, super::DESK] {
            browser.width(width).await;
            let beside = "const it = document.querySelector('dialog'); return it.scrollWidth - it.clientWidth";
            assert_eq!(browser.script(beside).await, json!(0), "the question scrolls sideways");
        }
        browser.picture("members-newer").await;
        browser.click("//dialog//button[normalize-space()='Accept all']").await;
        browser.says("Accepted 2 certificates.").await;
        assert_eq!(accepted().await, json!(["1", "2"]));
        browser.click("//a[normalize-space()='host-2']").await;
        browser.says("somebody may have a copy").await;
        browser.click("//button[@id='accept-4']").await;
        browser.picture("member-newer").await;
        browser.click("//input[@id='confirm-check']").await;
        browser.click("//dialog//button[normalize-space()='Accept']").await;
        browser.says("The certificate of host-2 was accepted").await;
        assert_eq!(accepted().await, json!(["1", "2", "4"]));
        self.go("").await;
        self.is_quiet("newer certificates are accepted, those that are disputed one by one", &[]).await;
    }
}

/// A page that scrolls sideways hides what it has at its side.
pub(super) async fn fits(browser: &Browser, place: &str) {
    let beside = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.script(beside).await, json!(0), "{place} scrolls sideways");
}
