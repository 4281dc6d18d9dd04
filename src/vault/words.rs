//! Words of others, made safe to stand in an error: one line, bounded, nothing that moves a cursor or hides text.

/// How many characters of foreign words an error carries.
const MAX_CHARS: usize = 600;

/// Foreign text as one line; control characters and those that reorder or hide text are escaped.
pub fn printable(text: &str) -> String {
    let mut shown = String::new();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    for (number, character) in lines.collect::<Vec<_>>().join(" | ").chars().enumerate() {
        if number == MAX_CHARS {
            shown.push('…');
            break;
        }
        if is_unsafe(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_one_bounded_line_that_moves_nothing() {
        assert_eq!(printable(" no room\n\n  left \n"), "no room | left");
        assert_eq!(printable("\u{1b}[2J\u{202e}x"), "\\u{1b}[2J\\u{202e}x");
        assert_eq!(printable(&"x".repeat(10_000)).chars().count(), MAX_CHARS + 1);
        assert_eq!(printable("Schlüssel fehlt"), "Schlüssel fehlt");
    }
}
