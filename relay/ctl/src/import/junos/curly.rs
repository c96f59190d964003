//! The form with braces: what `show configuration` prints.

use super::{
    lex::{Broken, Lexer, Token, Word},
    statements::Statements,
};

/// The statements that are ours.
pub(super) fn read(text: &str) -> Result<Statements<'_>, Broken> {
    let mut reader = Reader::default();
    for token in Lexer::new(text) {
        match token? {
            Token::Word(word) => reader.word(word),
            Token::Open(line) => reader.open(line)?,
            Token::Close(line) => reader.close(line)?,
            Token::Semicolon => reader.statement(),
            Token::NewLine => {}
        }
    }
    reader.end()
}

#[derive(Default)]
struct Reader<'t> {
    /// The words of all open blocks, and of the statement being read.
    path: Vec<&'t str>,
    /// The blocks that are open, from the outside in.
    blocks: Vec<Block>,
    /// Where the statement being read begins.
    line: usize,
    /// Where it, or a block around it, was marked inactive.
    inactive: Option<usize>,
    statements: Statements<'t>,
}

struct Block {
    /// How much of the path is around the block: what is left when it closes.
    outside: usize,
    /// How much of the path stands before each of its statements.
    inside: usize,
    line: usize,
    inactive: Option<usize>,
}

impl<'t> Reader<'t> {
    fn word(&mut self, word: Word<'t>) {
        let is_first = self.is_between();
        match word.text {
            "inactive:" if is_first && !word.quoted => self.inactive = self.inactive.or(Some(word.line)),
            // Marks that say who may change a statement, not what it says.
            "protect:" | "replace:" if is_first && !word.quoted => {}
            text => {
                self.path.push(text);
                self.line = if is_first { word.line } else { self.line };
            }
        }
    }

    fn statement(&mut self) {
        if !self.is_between() {
            self.statements.set(&self.path, self.line, self.inactive);
        }
        self.path.truncate(self.inside());
        self.inactive = self.blocks.last().and_then(|block| block.inactive);
    }

    fn open(&mut self, line: usize) -> Result<(), Broken> {
        if self.is_between() {
            return Err(Broken::new(line, "`{` without a name before it"));
        }
        self.statements.set(&self.path, self.line, self.inactive);
        let (outside, inside) = (self.inside(), self.path.len());
        self.blocks.push(Block { outside, inside, line, inactive: self.inactive });
        Ok(())
    }

    fn close(&mut self, line: usize) -> Result<(), Broken> {
        self.must_be_between()?;
        let block = self.blocks.pop().ok_or_else(|| Broken::new(line, "`}` without a `{`"))?;
        self.path.truncate(block.outside);
        self.inactive = self.blocks.last().and_then(|block| block.inactive);
        Ok(())
    }

    fn end(self) -> Result<Statements<'t>, Broken> {
        self.must_be_between()?;
        match self.blocks.last() {
            Some(block) => Err(Broken::new(block.line, "this `{` has no `}`")),
            None => Ok(self.statements),
        }
    }

    fn must_be_between(&self) -> Result<(), Broken> {
        if self.is_between() { Ok(()) } else { Err(Broken::new(self.line, "this statement does not end in `;`")) }
    }

    /// Whether no word of a statement has been read.
    fn is_between(&self) -> bool {
        self.path.len() == self.inside()
    }

    fn inside(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.inside)
    }
}
