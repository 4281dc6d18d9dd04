//! Writes HTML that is well-formed whatever is put into it: elements close themselves, and what comes from outside can only
//! be text or an attribute's value, both of which are escaped. Knows no element by name.

/// Attributes of an element.
pub type Attributes<'a> = [(&'static str, &'a str)];

/// HTML under way.
#[derive(Debug, Default)]
pub struct Markup {
    html: String,
}

impl Markup {
    /// What begins a document, or a style sheet: words of ours.
    pub fn raw(&mut self, html: &'static str) {
        self.html.push_str(html);
    }

    /// Text.
    pub fn text(&mut self, text: &str) {
        for character in text.chars() {
            match escaped(character) {
                Some(entity) => self.html.push_str(entity),
                None => self.html.push(character),
            }
        }
    }

    /// An element with what `inner` writes in it.
    pub fn element(&mut self, tag: &'static str, attributes: &Attributes<'_>, inner: impl FnOnce(&mut Self)) {
        self.begin(tag, attributes);
        inner(self);
        for part in ["</", tag, ">"] {
            self.html.push_str(part);
        }
    }

    /// An element with text in it.
    pub fn words(&mut self, tag: &'static str, attributes: &Attributes<'_>, text: &str) {
        self.element(tag, attributes, |inner| inner.text(text));
    }

    /// An element that has no end in HTML.
    pub fn void(&mut self, tag: &'static str, attributes: &Attributes<'_>) {
        self.begin(tag, attributes);
    }

    /// All of it.
    pub fn finish(self) -> String {
        self.html
    }

    fn begin(&mut self, tag: &'static str, attributes: &Attributes<'_>) {
        self.html.push('<');
        self.html.push_str(tag);
        for (name, value) in attributes {
            for part in [" ", *name, "=\""] {
                self.html.push_str(part);
            }
            self.text(value);
            self.html.push('"');
        }
        self.html.push('>');
    }
}

fn escaped(character: char) -> Option<&'static str> {
    Some(match character {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\'' => "&#39;",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_text() {
        let mut markup = Markup::default();
        markup.element("p", &[("title", "\" onclick='x' <b>")], |p| {
            p.text("<script>&amp;");
            p.void("br", &[]);
        });
        assert_eq!(
            markup.finish(),
            "<p title=\"&quot; onclick=&#39;x&#39; &lt;b&gt;\">&lt;script&gt;&amp;amp;<br></p>"
        );
    }
}
