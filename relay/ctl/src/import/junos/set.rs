//! The form of commands: what `show configuration | display set` prints.

use super::{
    lex::{Broken, Lexer, Token, Word},
    report::Report,
    statements::Statements,
};

/// Commands that change the configuration, each on a line of its own.
const COMMANDS: [&str; 4] = ["set", "delete", "deactivate", "activate"];

/// Commands that change no value.
const HARMLESS: [&str; 4] = ["protect", "unprotect", "annotate", "insert"];

/// Whether the text begins with a command.
pub(super) fn is_set_form(text: &str) -> bool {
    let word = |token| match token {
        Ok(Token::Word(word)) => Some(word.text),
        _ => None,
    };
    Lexer::new(text).find_map(word).is_some_and(|first| COMMANDS.contains(&first) || HARMLESS.contains(&first))
}

/// The statements that are ours, after all commands.
pub(super) fn read<'t>(text: &'t str, report: &mut Report) -> Result<Statements<'t>, Broken> {
    let mut statements = Statements::default();
    let mut line = Vec::new();
    for token in Lexer::new(text) {
        match token? {
            Token::Word(word) => line.push(word),
            Token::NewLine => command(&std::mem::take(&mut line), &mut statements, report),
            // Junos prints none here outside of quotes; in someone's script they say nothing.
            Token::Open(_) | Token::Close(_) | Token::Semicolon => {}
        }
    }
    command(&line, &mut statements, report);
    Ok(statements)
}

fn command<'t>(words: &[Word<'t>], statements: &mut Statements<'t>, report: &mut Report) {
    let Some((command, path)) = words.split_first() else { return };
    let path: Vec<&str> = path.iter().map(|word| word.text).collect();
    match command.text {
        "set" => statements.set(&path, command.line, None),
        "delete" => statements.delete(&path),
        "deactivate" => statements.deactivate(&path, command.line),
        "activate" => statements.activate(&path),
        other if HARMLESS.contains(&other) => {}
        other => {
            let name = format!("`{}`", other.escape_debug());
            let why =
                format!("only {} are read: use what `show configuration | display set` prints", COMMANDS.join(", "));
            report.refuse(command.line, &name, why);
        }
    }
}
