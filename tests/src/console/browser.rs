//! A headless Chromium, driven by the words of `WebDriver`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use data_encoding::BASE64;
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::wait_for;

/// How an element is named in the answers of `WebDriver`.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// What the driver says before its port.
const ON_PORT: &str = "was started successfully on port ";
/// Nothing that a test does not need, and nothing that talks to anybody but the controller.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// A key as `WebDriver` writes it.
pub const TAB: &str = "\u{e004}";
/// The key that sends a form.
pub const ENTER: &str = "\u{e007}";
/// The key that ticks a box and presses a button.
pub const SPACE: &str = " ";

/// A browser with one window. It ends with this.
pub struct Browser {
    _driver: Group,
    _profile: TempDir,
    http: reqwest::Client,
    session: String,
    pictures: PathBuf,
}

impl Browser {
    /// Starts it. Pictures go into that folder.
    pub async fn start(pictures: &Path) -> Self {
        std::fs::create_dir_all(pictures).expect("a folder for pictures");
        let (driver, port) = start_driver().await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let profile = tempfile::Builder::new().prefix("postern-chromium-").tempdir().expect("a profile of its own");
        let flags: Vec<String> = FLAGS.map(str::to_owned).into_iter().chain([profile_flag(profile.path())]).collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let driver_url = format!("http://127.0.0.1:{port}/session");
        let answer: Value =
            http.post(&driver_url).json(&wanted).send().await.expect("the driver answers").json().await.expect("JSON");
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {answer}"));
        let session = format!("{driver_url}/{id}");
        Self { _driver: driver, _profile: profile, http, session, pictures: pictures.to_owned() }
    }

    /// Asks the driver. `Err` is what it answered.
    async fn try_ask(&self, method: Method, path: &str, body: Value) -> Result<Value, Value> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.session));
        if method == Method::POST {
            request = request.json(&body);
        }
        let response = request.send().await.expect("the driver answers");
        let is_success = response.status().is_success();
        let mut answer: Value = response.json().await.expect("the driver answers in JSON");
        let value = answer["value"].take();
        if is_success { Ok(value) } else { Err(value) }
    }

    async fn ask(&self, path: &str, body: Value) -> Value {
        let answer = self.try_ask(Method::POST, path, body).await;
        answer.unwrap_or_else(|error| panic!("{path}: {}", error["message"]))
    }

    /// Goes to a page.
    pub async fn go(&self, url: &str) {
        self.ask("/url", json!({ "url": url })).await;
    }

    /// Opens another window, and turns to it.
    pub async fn open_window(&self) -> String {
        let opened = self.ask("/window/new", json!({ "type": "window" })).await;
        let window = opened["handle"].as_str().expect("a window").to_owned();
        self.turn_to_window(&window).await;
        window
    }

    /// The window that is turned to.
    pub async fn window(&self) -> String {
        let window = self.try_ask(Method::GET, "/window", Value::Null).await;
        window.unwrap_or_else(|error| panic!("no window: {error}")).as_str().expect("a window").to_owned()
    }

    /// Turns to a window.
    pub async fn turn_to_window(&self, window: &str) {
        self.ask("/window", json!({ "handle": window })).await;
    }

    /// Closes the window that is turned to, which is not the last.
    pub async fn close_window(&self) {
        self.try_ask(Method::DELETE, "/window", Value::Null).await.unwrap_or_else(|error| panic!("a window: {error}"));
    }

    /// Nobody sees the window any more.
    pub async fn hide_window(&self) {
        self.ask("/window/minimize", json!({})).await;
    }

    /// The window is seen again.
    pub async fn show_window(&self) {
        self.ask("/window/rect", json!({ "width": 1280, "height": 900 })).await;
    }

    /// Has the page work something out. A promise is waited for.
    pub async fn script(&self, text: &str) -> Value {
        self.ask("/execute/sync", json!({ "script": text, "args": [] })).await
    }

    /// Says something in the words of Chromium's own protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) {
        self.ask("/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await;
    }

    /// What stands there once something does: of the first element that the `XPath` finds and that is shown.
    pub async fn find(&self, xpath: &str) -> String {
        wait_for(&format!("{xpath} in {}", self.text_now().await), async || {
            let found = self.try_ask(Method::POST, "/element", json!({ "using": "xpath", "value": xpath })).await?;
            found[ELEMENT].as_str().map(str::to_owned).ok_or(found)
        })
        .await
    }

    /// Does something with what the `XPath` finds, and again with what it finds then if a page that is drawn anew has taken
    /// that away.
    async fn with<T>(&self, xpath: &str, mut act: impl AsyncFnMut(&str) -> Result<T, Value>) -> T {
        wait_for(xpath, async || act(&self.find(xpath).await).await).await
    }

    /// What an element says.
    pub async fn text(&self, xpath: &str) -> String {
        let text =
            async |element: &str| self.try_ask(Method::GET, &format!("/element/{element}/text"), Value::Null).await;
        self.with(xpath, text).await.as_str().unwrap_or_default().to_owned()
    }

    /// Whether the page has such an element now.
    pub async fn has(&self, xpath: &str) -> bool {
        self.try_ask(Method::POST, "/element", json!({ "using": "xpath", "value": xpath })).await.is_ok()
    }

    /// Waits until the page says this somewhere.
    pub async fn says(&self, words: &str) {
        wait_for(&format!("the words `{words}`"), async || {
            let text = self.text_now().await;
            if text.contains(words) { Ok(()) } else { Err(text) }
        })
        .await;
    }

    /// Waits until a script returns true.
    pub async fn is_so(&self, what: &str, script: &str) {
        wait_for(what, async || {
            let so = self.script(script).await;
            if so == json!(true) { Ok(()) } else { Err(so) }
        })
        .await;
    }

    async fn text_now(&self) -> String {
        self.script("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks, once there is something to be clicked.
    pub async fn click(&self, xpath: &str) {
        self.with(xpath, async |it| self.try_ask(Method::POST, &format!("/element/{it}/click"), json!({})).await).await;
    }

    /// Begins to press what the `XPath` finds, as the mouse or the space bar does.
    pub async fn hold(&self, with: Hold, xpath: &str) {
        self.with(xpath, async |element| {
            let actions = match with {
                Hold::Pointer => {
                    let origin = json!({ ELEMENT: element });
                    let moved = json!({ "type": "pointerMove", "origin": origin, "x": 0, "y": 0 });
                    let down = json!({ "type": "pointerDown", "button": 0 });
                    json!([{ "type": "pointer", "id": "mouse", "actions": [moved, down] }])
                }
                Hold::Space => {
                    self.script_on(element, "arguments[0].focus()").await?;
                    json!([{ "type": "key", "id": "keyboard", "actions": [{ "type": "keyDown", "value": SPACE }] }])
                }
            };
            self.try_ask(Method::POST, "/actions", json!({ "actions": actions })).await
        })
        .await;
    }

    async fn script_on(&self, element: &str, text: &str) -> Result<Value, Value> {
        let body = json!({ "script": text, "args": [{ ELEMENT: element }] });
        self.try_ask(Method::POST, "/execute/sync", body).await
    }

    /// Clicks twice at the same place, as somebody does who is used to it: what comes of the first, `then`, is there by the
    /// second. However long it takes to come, the second is said to be that of a double click.
    pub async fn click_twice(&self, xpath: &str, then: &str) {
        let middle = "arguments[0].scrollIntoView({ block: 'center' });\
                      const { x, y, width, height } = arguments[0].getBoundingClientRect();\
                      return [x + width / 2, y + height / 2];";
        let place = self.with(xpath, async |element| self.script_on(element, middle).await).await;
        for count in [1, 2] {
            for what in ["mousePressed", "mouseReleased"] {
                let event =
                    json!({ "type": what, "x": place[0], "y": place[1], "button": "left", "clickCount": count });
                self.devtools("Input.dispatchMouseEvent", event).await;
            }
            self.find(then).await;
        }
    }

    /// Lets go of all that is being pressed.
    pub async fn release(&self) {
        self.try_ask(Method::DELETE, "/actions", Value::Null).await.unwrap_or_else(|error| panic!("release: {error}"));
    }

    /// Clicks a button.
    pub async fn press(&self, label: &str) {
        self.click(&format!("//button[normalize-space()='{label}' or @aria-label='{label}']")).await;
    }

    /// Writes into a field, in place of what is there.
    pub async fn write(&self, id: &str, text: &str) {
        self.with(&format!("//*[@id='{id}']"), async |element| {
            self.try_ask(Method::POST, &format!("/element/{element}/clear"), json!({})).await?;
            self.try_ask(Method::POST, &format!("/element/{element}/value"), json!({ "text": text })).await
        })
        .await;
    }

    /// Chooses a file.
    pub async fn attach(&self, id: &str, file: &Path) {
        self.with(&format!("//*[@id='{id}']"), async |element| {
            self.try_ask(Method::POST, &format!("/element/{element}/value"), json!({ "text": file })).await
        })
        .await;
    }

    /// Chooses of a list.
    pub async fn choose(&self, id: &str, value: &str) {
        self.click(&format!("//select[@id='{id}']/option[@value='{value}']")).await;
    }

    /// Types on the keyboard, wherever the focus is.
    pub async fn keys(&self, text: &str) {
        let mut strokes = Vec::new();
        for key in text.chars() {
            strokes.push(json!({ "type": "keyDown", "value": key }));
            strokes.push(json!({ "type": "keyUp", "value": key }));
        }
        self.ask("/actions", json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] })).await;
    }

    /// The id of the element that has the focus.
    pub async fn focused(&self) -> String {
        self.script("return document.activeElement.id").await.as_str().unwrap_or_default().to_owned()
    }

    /// Takes a picture of the whole page.
    pub async fn picture(&self, name: &str) {
        let taken = self
            .ask(
                "/goog/cdp/execute",
                json!({ "cmd": "Page.captureScreenshot", "params": { "captureBeyondViewport": true } }),
            )
            .await;
        let bytes = BASE64.decode(taken["data"].as_str().unwrap_or_default().as_bytes()).expect("a picture in base64");
        std::fs::write(self.pictures.join(format!("{name}.png")), bytes).expect("a picture on the disk");
    }

    /// Makes the window so wide, as a phone's if that is narrow.
    pub async fn width(&self, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        self.is_shown_for(&format!("(width: {width}px)")).await;
    }

    /// Prefers light or dark.
    pub async fn prefers(&self, scheme: &str) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
        self.is_shown_for(&format!("(prefers-color-scheme: {scheme})")).await;
    }

    /// Waits until the page that is open has taken it up: what is looked at before is of the old one.
    async fn is_shown_for(&self, media: &str) {
        self.is_so(&format!("a page for {media}"), &format!("return matchMedia('{media}').matches")).await;
    }

    /// What the console of the browser was told since it was last asked: errors of scripts, and what the policy of the
    /// pages forbade.
    pub async fn complaints(&self) -> Vec<String> {
        let told = self.ask("/se/log", json!({ "type": "browser" })).await;
        let lines = told.as_array().map(Vec::as_slice).unwrap_or_default();
        let complaints = lines.iter().filter(|it| it["level"] == "SEVERE" || it["level"] == "WARNING");
        complaints.map(|it| it["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Ends it.
    pub async fn quit(self) {
        // What does not end by itself is killed with the driver.
        let _ = self.try_ask(Method::DELETE, "", Value::Null).await;
    }
}

/// What something is held down with.
#[derive(Clone, Copy)]
pub enum Hold {
    /// The mouse's first button.
    Pointer,
    /// The space bar.
    Space,
}

fn profile_flag(folder: &Path) -> String {
    format!("--user-data-dir={}", folder.display())
}

/// The driver, and the browser that it starts. They are killed together.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.0.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Starts the driver on a port that it chooses.
async fn start_driver() -> (Group, u16) {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("chromedriver is installed: see .ci/console");
    let said = driver.stdout.take().expect("what the driver says");
    let mut lines = BufReader::new(said).lines();
    while let Some(line) = lines.next_line().await.expect("what the driver says is read") {
        if let Some((_, port)) = line.split_once(ON_PORT) {
            let port = port.trim_end_matches('.').parse().expect("a port");
            return (Group(driver), port);
        }
    }
    panic!("chromedriver ended before it listened");
}
