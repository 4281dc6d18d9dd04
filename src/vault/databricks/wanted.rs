//! What a call was for, in the words of an error: what was tried, what would have to be allowed, what to do.

/// What a call was for.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// To see which scopes there are.
    ListScopes,
    /// To read from a scope.
    Read(&'a str),
    /// To create a scope.
    Create(&'a str),
    /// To write into a scope.
    Write {
        /// Whose secret.
        user: &'a str,
        /// The scope.
        scope: &'a str,
    },
    /// To remove from a scope.
    Remove(&'a str),
}

impl Wanted<'_> {
    /// In a person's words.
    pub fn text(self) -> String {
        match self {
            Self::ListScopes => "listing the scopes".into(),
            Self::Read(scope) => format!("reading the scope {scope}"),
            Self::Create(scope) => format!("creating the scope {scope}"),
            Self::Write { user, scope } => format!("writing the secret of {user} into the scope {scope}"),
            Self::Remove(scope) => format!("removing a secret from the scope {scope}"),
        }
    }

    /// What would have to be allowed.
    pub fn right(self) -> String {
        match self {
            Self::ListScopes => {
                "Whoever uses the workspace may list scopes; is the token of a user of it?".into()
            }
            Self::Read(scope) => {
                format!("It takes READ on the scope {scope}, and MANAGE to see who else has it")
            }
            Self::Create(scope) => format!(
                "It takes the right to create the scope {scope}; on a plan without access control, initial_manage_principal = \"users\" must be set"
            ),
            Self::Write { scope, .. } | Self::Remove(scope) => format!("It takes WRITE on the scope {scope}"),
        }
    }

    /// What to do where there are as many as there may be.
    pub fn at_limit(self) -> String {
        match self {
            Self::Create(scope) => format!(
                "The scope {scope} would be one more than the workspace has room for: delete scopes that nobody needs, or ask Databricks for more"
            ),
            _ => "Remove users who are gone from the vault, or ask Databricks for more".into(),
        }
    }
}
