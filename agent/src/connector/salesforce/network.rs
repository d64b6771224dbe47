//! Whether the security token goes with the password: decided here, on the agent, without I/O.
//!
//! Salesforce wants the token from networks it does not trust. Each wrong guess counts toward the lock-out of the
//! service account, so nothing is guessed twice.

use serde::{Deserialize, Serialize};

/// What the operator says about the network of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Network {
    /// Salesforce trusts it: the password alone.
    TrustedIp,
    /// It does not: password and token.
    Token,
    /// Found out, and remembered.
    Auto,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum With {
    /// The password.
    PasswordAlone,
    /// The password, and the token right behind it.
    Token,
}

impl With {
    /// What it says about the network.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PasswordAlone => "trusted-ip",
            Self::Token => "token",
        }
    }
}

/// What a sign-in knows before it first sends anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    /// What the operator says.
    pub(super) network: Network,
    /// Whether there is a token.
    pub(super) has_token: bool,
    /// What worked last time.
    pub(super) remembered: Option<With>,
}

impl Decision {
    /// What is sent first.
    pub(super) fn first(self) -> With {
        match self.network {
            Network::TrustedIp => With::PasswordAlone,
            Network::Token => With::Token,
            Network::Auto if !self.has_token => With::PasswordAlone,
            // A right token is accepted from everywhere, so it is the safer guess.
            Network::Auto => self.remembered.unwrap_or(With::Token),
        }
    }

    /// What is sent next after `code` refused `first`, if anything may be.
    pub(super) fn second(self, first: With, code: &str) -> Option<With> {
        let helps = code == "LOGIN_MUST_USE_SECURITY_TOKEN" && first == With::PasswordAlone;
        (self.network == Network::Auto && self.has_token && helps).then_some(With::Token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: &str = "LOGIN_MUST_USE_SECURITY_TOKEN";

    /// The whole table: network, token configured, remembered → first, and second after each of two answers.
    /// Features C5, C6, C9.
    #[test]
    fn every_row_of_the_decision_table() {
        use Network::{Auto, Token, TrustedIp};
        use With::PasswordAlone as Alone;
        const T: With = With::Token;
        let rows = [
            (TrustedIp, false, None, Alone, None),
            (TrustedIp, false, Some(T), Alone, None),
            (TrustedIp, true, None, Alone, None),
            (TrustedIp, true, Some(T), Alone, None),
            (Token, true, None, T, None),
            (Token, true, Some(Alone), T, None),
            (Auto, false, None, Alone, None),
            (Auto, false, Some(Alone), Alone, None),
            (Auto, false, Some(T), Alone, None),
            (Auto, true, None, T, None),
            (Auto, true, Some(T), T, None),
            (Auto, true, Some(Alone), Alone, Some(T)),
        ];
        for (network, has_token, remembered, first, after_needed) in rows {
            let decision = Decision { network, has_token, remembered };
            assert_eq!(decision.first(), first, "{decision:?}");
            assert_eq!(decision.second(first, NEEDED), after_needed, "{decision:?}");
            assert_eq!(decision.second(first, "INVALID_LOGIN"), None, "{decision:?}");
        }
    }
}
