//! The files of the console, as the program carries them.

/// A file.
pub(super) struct Asset {
    name: &'static str,
    /// What it is.
    pub(super) media_type: &'static str,
    /// What is in it.
    pub(super) bytes: &'static [u8],
}

macro_rules! assets {
    ($($media_type:literal: $($name:literal),*;)*) => {
        /// Every file.
        const ASSETS: &[Asset] = &[
            $($(Asset {
                name: $name,
                media_type: $media_type,
                bytes: include_bytes!(concat!("../../console/", $name)),
            },)*)*
        ];
    };
}

assets! {
    "text/html; charset=utf-8": "index.html";
    "text/css; charset=utf-8": "style.css";
    "image/svg+xml": "icon.svg";
    "text/javascript; charset=utf-8":
        "api.js", "app.js", "audit.js", "bytes.js", "chacha20poly1305.js", "connection.js", "dialog.js", "dom.js", "form.js",
        "hpke.js", "kinds.js", "live.js", "member.js", "member_acts.js", "members.js", "newer.js", "overview.js",
        "own_keys.js", "records.js", "reseal.js", "role.js", "roots.js", "seal.js", "sign_in.js", "submit.js", "system.js",
        "system_details.js", "systems.js", "task.js", "tasks.js", "tokens.js", "words.js";
}

/// The file of this name.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|it| it.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_console_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/console");
        let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
        let served = ASSETS.iter().map(|it| it.name.to_owned());
        assert_eq!(served.collect::<BTreeSet<_>>(), files.collect::<BTreeSet<_>>());
    }

    /// To import the whole file again does again what was done, and undoes what others changed since.
    #[test]
    fn of_entries_that_failed_those_alone_are_to_be_imported_again() {
        let text = str::from_utf8(find("task.js").unwrap().bytes).unwrap();
        let words = text.lines().skip_while(|it| !it.contains("\"entries_failed\"")).nth(1).unwrap();
        assert!(words.contains("those entries alone") && !words.contains("stay as they are"), "{words}");
    }

    /// Text is put into a page as text alone, so that nothing that a task, a member or Salesforce says becomes part of it.
    #[test]
    fn nothing_in_the_console_makes_a_page_of_text() {
        for asset in ASSETS.iter().filter(|it| !it.media_type.starts_with("image/")) {
            let text = str::from_utf8(asset.bytes).unwrap();
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "srcdoc",
                "DOMParser",
                "createContextualFragment",
                "setHTML",
                "javascript:",
                "eval(",
                "new Function",
                " style=",
                " onclick=",
            ] {
                assert!(!text.contains(word), "{} has `{word}`", asset.name);
            }
        }
    }

    /// Index one with a member's word, and the page of a task whose outcome is called `constructor` stays empty.
    #[test]
    fn tables_are_looked_up_for_what_is_their_own() {
        let of_scripts = ASSETS.iter().filter(|it| it.media_type.starts_with("text/javascript"));
        for asset in of_scripts {
            for line in str::from_utf8(asset.bytes).unwrap().lines() {
                let is_indexed =
                    line.match_indices('[').any(|(at, _)| line[..at].ends_with(|it: char| it.is_ascii_uppercase()));
                assert!(!is_indexed, "{}, in place of `among`: {line}", asset.name);
            }
        }
    }
}
