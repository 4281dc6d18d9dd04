//! Why a snapshot stays, in words and for programs.

use serde::Serialize;

use crate::cli::json::{lossy, raw};
use crate::cli::text;
use crate::engine::forget::Reason;

/// So many users are named in a line.
const USERS_SHOWN: usize = 3;

/// A reason, for programs. What does not apply is left out.
#[derive(Serialize, Default)]
pub struct ReasonObject {
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<UserObject>>,
}

#[derive(Serialize)]
struct UserObject {
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
}

impl ReasonObject {
    /// A reason.
    pub fn new(reason: &Reason) -> Self {
        let object = Self { reason: code(reason), ..Self::default() };
        match reason {
            Reason::Rule { is_oldest, .. } => Self { oldest: Some(*is_oldest), ..object },
            Reason::Within | Reason::Future => object,
            Reason::Tags(tags) => Self { tags: Some(tags.clone()), ..object },
            Reason::Late { than } => Self { snapshot_id: Some(than.to_hex()), ..object },
            Reason::Witness { of } => Self { snapshot_id: Some(of.to_hex()), ..object },
            Reason::NewestState { users }
            | Reason::BeforeAlarm { users }
            | Reason::OnlyState { users }
            | Reason::Removal { users } => {
                let user = |name: &Vec<u8>| UserObject { user: lossy(name), user_bytes: raw(name) };
                Self { users: Some(users.iter().map(user).collect()), ..object }
            }
        }
    }
}

fn code(reason: &Reason) -> &'static str {
    match reason {
        Reason::Rule { rule, .. } => rule.name(),
        Reason::Within => "within",
        Reason::Tags(_) => "tags",
        Reason::Future => "future",
        Reason::Late { .. } => "late",
        Reason::Witness { .. } => "witness",
        Reason::NewestState { .. } => "newest_state",
        Reason::BeforeAlarm { .. } => "before_alarm",
        Reason::OnlyState { .. } => "only_state",
        Reason::Removal { .. } => "removal",
    }
}

/// A reason, for people.
pub fn words(reason: &Reason) -> String {
    match reason {
        Reason::Rule { rule, is_oldest: false } => rule.name().into(),
        Reason::Rule { rule, is_oldest: true } => format!("oldest {}", rule.name()),
        Reason::Within => "within".into(),
        Reason::Tags(tags) => format!("tag {}", text::name(tags.join(",").as_bytes())),
        Reason::Future => "dated in the future".into(),
        Reason::Late { than } => format!("dated later than {}, which was built on it", than.short_hex()),
        Reason::Witness { of } => format!("shows how old {} is", of.short_hex()),
        Reason::NewestState { users } => format!("newest state of {}", named(users)),
        Reason::BeforeAlarm { users } => {
            format!("last state before the home shrank or went missing: {}", named(users))
        }
        Reason::OnlyState { users } => format!("only state left of {}", named(users)),
        Reason::Removal { users } => format!("says that the home is gone: {}", named(users)),
    }
}

fn named(users: &[Vec<u8>]) -> String {
    let names: Vec<_> = users.iter().take(USERS_SHOWN).map(|user| text::name(user)).collect();
    match users.len() {
        number if number <= USERS_SHOWN => names.join(", "),
        number => format!("{}, … ({number})", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::SnapshotId;
    use crate::engine::forget::Rule;

    #[test]
    fn reasons_read_well_and_programs_get_all_of_them() {
        let users: Vec<Vec<u8>> = [b"ann", b"bob", b"c\xffm", b"dov"].map(|name| name.to_vec()).into();
        let cases = [
            (
                Reason::Rule { rule: Rule::Daily, is_oldest: true },
                "oldest daily",
                r#"{"reason":"daily","oldest":true}"#,
            ),
            (Reason::Within, "within", r#"{"reason":"within"}"#),
            (
                Reason::Tags(vec!["a".into(), "\x1b".into()]),
                "tag a,\\u{1b}",
                "{\"reason\":\"tags\",\"tags\":[\"a\",\"\\u001b\"]}",
            ),
            (
                Reason::NewestState { users: users[..3].to_vec() },
                "newest state of ann, bob, c\\xffm",
                "{\"reason\":\"newest_state\",\"users\":[{\"user\":\"ann\"},{\"user\":\"bob\"},\
                 {\"user\":\"c\u{fffd}m\",\"user_bytes\":\"63ff6d\"}]}",
            ),
            (
                Reason::Late { than: SnapshotId([0xab; 16]) },
                "dated later than abababab, which was built on it",
                r#"{"reason":"late","snapshot_id":"abababababababababababababababab"}"#,
            ),
        ];
        for (reason, human, json) in cases {
            assert_eq!(words(&reason), human);
            assert_eq!(serde_json::to_string(&ReasonObject::new(&reason)).unwrap(), json);
        }
        assert!(words(&Reason::Removal { users }).ends_with(": ann, bob, c\\xffm, … (4)"));
    }
}
