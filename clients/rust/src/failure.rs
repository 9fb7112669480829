//! What a failed call says.

use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The code of a status, the reason, and the fields that are wrong.
pub fn failure(error: &Status) -> Value {
    let reason = error.get_details_error_info().map_or(String::new(), |info| info.reason);
    let violations = error.get_details_bad_request().map_or(Vec::new(), |request| request.field_violations);
    let fields: Vec<String> = violations.into_iter().map(|violation| violation.field).collect();
    json!({"code": name(error.code()), "reason": reason, "fields": fields, "message": error.message()})
}

/// The code as the protocol spells it: NOT_FOUND for NotFound.
pub fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
