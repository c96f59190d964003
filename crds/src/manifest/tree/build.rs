//! From the parser's events to trees. Nothing in the text can make this recurse, loop or grow without bound.

use std::{borrow::Cow, collections::HashMap, rc::Rc};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{Child, Document, Entry, Fault, Node, Value, entries};

/// Deeper than any object of Kubernetes; a tree this deep can be walked and dropped by recursion.
const MAX_DEPTH: usize = 64;

/// As many nodes as all aliases of one document may stand for, together: more than ten domains of 1,000 rules.
const MAX_ALIASED: usize = 100_000;

/// Every document of `text`, those that are not YAML with the reason why.
pub(crate) fn documents(text: &str) -> Vec<Document<'_>> {
    let mut options = granit_parser::options! { flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut documents = Vec::new();
    let mut builder = Builder::default();
    while let Some(event) = parser.next_event() {
        match event {
            Ok((Event::DocumentStart(..), _)) => builder = Builder::default(),
            Ok((Event::DocumentEnd, _)) => documents.push(std::mem::take(&mut builder).finish()),
            Ok((event, span)) => builder.take(event, &span),
            Err(error) => {
                builder.faults.push(syntax_fault(text, &error));
                builder.root = None;
                documents.push(std::mem::take(&mut builder).finish());
                if !matches!(parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
    }
    documents
}

fn syntax_fault(text: &str, error: &ScanError) -> Fault {
    let line = error.marker().line();
    let is_bare = |line: &str| line.contains("::") && !line.contains(['"', '\'']);
    let near = text.lines().skip(line.saturating_sub(2)).take(2);
    let hint = if near.into_iter().any(is_bare) { "; an IPv6 address that ends in `:` needs quotes" } else { "" };
    Fault { line, message: format!("this is not YAML: {}{hint}", error.info()) }
}

/// The tree of one document as it grows.
#[derive(Default)]
struct Builder<'t> {
    open: Vec<Frame<'t>>,
    root: Option<Child<'t>>,
    anchors: HashMap<usize, Rc<Node<'t>>>,
    aliased: usize,
    faults: Vec<Fault>,
}

/// A list or map that has begun and not ended.
struct Frame<'t> {
    line: usize,
    anchor: usize,
    kind: Kind<'t>,
}

enum Kind<'t> {
    List(Vec<Child<'t>>),
    /// The entries, and the key whose value comes next: no text if it is a list or map.
    Map(Vec<Entry<'t>>, Option<(Option<Cow<'t, str>>, usize)>),
}

impl<'t> Builder<'t> {
    fn take(&mut self, event: Event<'t>, span: &Span) {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                self.check_tag(tag.as_deref(), "str", line);
                self.add(anchor, Node::scalar(line, text, plain));
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", line);
                self.open.push(Frame { line, anchor, kind: Kind::List(Vec::new()) });
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", line);
                self.open.push(Frame { line, anchor, kind: Kind::Map(Vec::new(), None) });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, line),
            _ => {}
        }
    }

    fn check_tag(&mut self, tag: Option<&Tag>, allowed: &str, line: usize) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema_tag(allowed)) {
            self.fault(line, format!("found the tag {}, allowed a value without one", tag.original()));
        }
    }

    fn close(&mut self) {
        let Some(Frame { line, anchor, kind }) = self.open.pop() else { return };
        let value = match kind {
            Kind::List(items) => Value::List(items),
            Kind::Map(mut entries, _) => {
                entries::mark_duplicates(&mut entries);
                Value::Map(entries::merge(entries))
            }
        };
        let node = Node::new(line, value);
        if node.depth > MAX_DEPTH {
            // Aliases within aliases nest as deep as the text is long.
            self.fault(line, format!("found aliases nested deeper than {MAX_DEPTH}"));
            return self.add(anchor, Node::scalar(line, Cow::Borrowed(""), true));
        }
        self.add(anchor, node);
    }

    fn alias(&mut self, anchor: usize, line: usize) {
        let Some(node) = self.anchors.get(&anchor).map(Rc::clone) else {
            self.fault(line, "found an alias inside of what it stands for".to_owned());
            return self.add(0, Node::scalar(line, Cow::Borrowed(""), true));
        };
        let before = self.aliased;
        self.aliased = before.saturating_add(node.size);
        if self.aliased <= MAX_ALIASED {
            return self.place(Child::Shared(node));
        }
        if before <= MAX_ALIASED {
            self.fault(line, format!("found aliases that stand for more than {MAX_ALIASED} values"));
        }
        self.add(0, Node::scalar(line, Cow::Borrowed(""), true));
    }

    fn add(&mut self, anchor: usize, node: Node<'t>) {
        if anchor == 0 {
            return self.place(Child::Own(node));
        }
        let node = Rc::new(node);
        self.anchors.insert(anchor, Rc::clone(&node));
        self.place(Child::Shared(node));
    }

    fn place(&mut self, node: Child<'t>) {
        match self.open.last_mut().map(|frame| &mut frame.kind) {
            None => self.root = Some(node),
            Some(Kind::List(items)) => items.push(node),
            Some(Kind::Map(_, key @ None)) => {
                let (text, line) = (key_text(&node), node.line);
                let is_text = text.is_some();
                *key = Some((text, line));
                if !is_text {
                    self.fault(line, "found a list or map as a key, allowed a name".to_owned());
                }
            }
            Some(Kind::Map(entries, key)) => {
                if let Some((Some(key), line)) = key.take() {
                    entries.push(Entry { key, line, value: node, duplicate_of: None });
                }
            }
        }
    }

    fn fault(&mut self, line: usize, message: String) {
        self.faults.push(Fault { line, message });
    }

    fn finish(self) -> Document<'t> {
        Document { root: self.root, faults: self.faults }
    }
}

fn key_text<'t>(node: &Node<'t>) -> Option<Cow<'t, str>> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text.clone()),
        _ => None,
    }
}

impl<'t> Node<'t> {
    fn scalar(line: usize, text: Cow<'t, str>, plain: bool) -> Self {
        Self::new(line, Value::Scalar { text, plain })
    }

    fn new(line: usize, value: Value<'t>) -> Self {
        let grow = |(size, depth): (usize, usize), child: &Child<'_>| {
            (child.size.saturating_add(size), depth.max(child.depth + 1))
        };
        let (size, depth) = match &value {
            Value::Scalar { .. } => (1, 1),
            Value::List(items) => items.iter().fold((1, 1), grow),
            Value::Map(entries) => entries.iter().map(|entry| &entry.value).fold((1, 1), grow),
        };
        Self { line, value, size, depth }
    }
}
