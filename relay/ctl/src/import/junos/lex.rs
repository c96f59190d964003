//! The words of a configuration: quoted or not, braces, semicolons, comments.

/// A word, without the quotes it may have had. Escapes inside quotes stay: no word of ours has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    pub(super) line: usize,
    pub(super) quoted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Word(Word<'t>),
    /// `{`, and its line.
    Open(usize),
    /// `}`, and its line.
    Close(usize),
    /// `;`
    Semicolon,
    /// What ends a statement of the `set` form, and nothing in the other.
    NewLine,
}

/// Where a text stops being a configuration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) why: String,
}

impl Broken {
    pub(super) fn new(line: usize, why: impl Into<String>) -> Self {
        Self { line, why: why.into() }
    }
}

pub(super) struct Lexer<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text, line: 1 }
    }

    /// Takes the next `length` bytes.
    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    /// Passes spaces and comments, but no line end that is not within a comment.
    fn skip(&mut self) -> Result<(), Broken> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start_matches(is_blank).len();
            self.take(blank);
            if self.rest.starts_with('#') {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                let end = self.rest[2..].find("*/").ok_or_else(|| Broken::new(self.line, "this comment never ends"))?;
                self.take("/**/".len() + end);
            } else {
                return Ok(());
            }
        }
    }

    fn quoted(&mut self) -> Result<Token<'t>, Broken> {
        let line = self.line;
        self.take(1);
        let mut escaped = false;
        let end = self.rest.find(|letter| {
            let ends = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            ends
        });
        let end = end.ok_or_else(|| Broken::new(line, "this quoted string never ends"))?;
        let text = self.take(end);
        self.take(1);
        Ok(Token::Word(Word { text, line, quoted: true }))
    }

    fn bare(&mut self) -> Token<'t> {
        let ends = |letter| is_blank(letter) || matches!(letter, '\n' | '{' | '}' | ';');
        let text = self.take(self.rest.find(ends).unwrap_or(self.rest.len()));
        Token::Word(Word { text, line: self.line, quoted: false })
    }

    fn token(&mut self) -> Result<Option<Token<'t>>, Broken> {
        self.skip()?;
        let line = self.line;
        let token = match self.rest.chars().next() {
            None => return Ok(None),
            Some('"') => return self.quoted().map(Some),
            Some('\n') => Token::NewLine,
            Some('{') => Token::Open(line),
            Some('}') => Token::Close(line),
            Some(';') => Token::Semicolon,
            Some(_) => return Ok(Some(self.bare())),
        };
        self.take(1);
        Ok(Some(token))
    }
}

impl<'t> Iterator for Lexer<'t> {
    type Item = Result<Token<'t>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        let token = self.token();
        if token.is_err() {
            // Nothing can be made of what follows.
            self.rest = "";
        }
        token.transpose()
    }
}

fn is_blank(letter: char) -> bool {
    letter != '\n' && letter.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(&str, usize)> {
        let word = |token| match token {
            Ok(Token::Word(word)) => Some((word.text, word.line)),
            _ => None,
        };
        Lexer::new(text).filter_map(word).collect()
    }

    #[test]
    fn quotes_and_comments_may_go_over_lines() {
        let text = "a /* b\n c */ \"d {\n\\\" e\" # f\ng;h{i}";
        assert_eq!(words(text), [("a", 1), ("d {\n\\\" e", 2), ("g", 4), ("h", 4), ("i", 4)]);
    }

    #[test]
    fn what_never_ends_is_told_by_its_first_line() {
        let broken = |text| Lexer::new(text).find_map(Result::err).map(|broken| broken.line);
        assert_eq!(Lexer::new("/*/").count(), 1);
        assert_eq!([broken("a\n\"b\nc"), broken("a\n\n/* b"), broken("a \"\\\\\"")], [Some(2), Some(3), None]);
    }
}
