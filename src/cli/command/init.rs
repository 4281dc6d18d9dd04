//! `init`: creates a repository. Knows what to tell about it.

use clap::Args;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::hex;
use crate::cli::open::{self, Created};
use crate::cli::text;

/// Create a repository, and its key file if that is missing
///
/// Without --password-file, --password-command or HOMEKEEP_PASSWORD, a key file opens it.
#[derive(Debug, Args)]
pub struct InitArguments {}

#[derive(Serialize)]
struct Initialized {
    message_type: &'static str,
    id: String,
    repository: String,
    /// Only when the file was made now.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<String>,
}

/// Creates the repository.
pub fn run(context: &Context, _arguments: &InitArguments) -> Result<Exit, CliError> {
    let Created { repository, key_file } = open::create(context)?;
    let output = &context.output;
    let id = hex(&repository.descriptor().repository_id);
    let place = context.places.repository.display().to_string();
    if output.is_json() {
        output.object(&Initialized {
            message_type: "initialized",
            id,
            repository: place,
            key_file: key_file.as_ref().map(|path| path.display().to_string()),
        });
    } else if !output.is_quiet() {
        output.line(&format!("created repository {} in {}", &id[..8], text::safe(&place)));
    }
    match key_file {
        Some(key_file) => open::tell_of_key(output, &key_file),
        None => output.note("what opens the repository is not in it: lose it, and nothing can be restored"),
    }
    Ok(Exit::Done)
}
