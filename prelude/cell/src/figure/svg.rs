//! A plotters backend that writes small SVG: coordinates in tenths of pixels, shapes of one style in one
//! path.

use std::convert::Infallible;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontStyle, FontTransform,
};

/// Backend units per pixel.
pub(super) const FINE: i32 = 10;

/// Width of a letter of 12.5 pixels, about as much as most need.
pub(super) const LETTER: f64 = 6.8;

type Done = Result<(), DrawingErrorKind<Infallible>>;

/// The drawing so far.
pub(super) struct Canvas<'a> {
    width: u32,
    height: u32,
    body: &'a mut String,
    /// Attributes and data of the path that is still growing.
    attributes: String,
    data: String,
}

impl<'a> Canvas<'a> {
    /// A canvas of that many pixels which writes its shapes into `body`.
    pub(super) fn new(width: u32, height: u32, body: &'a mut String) -> Self {
        Self {
            width,
            height,
            body,
            attributes: String::new(),
            data: String::new(),
        }
    }

    fn path(&mut self, attributes: String, data: &str) {
        if attributes != self.attributes {
            self.end_path();
            self.attributes = attributes;
        }
        self.data.push_str(data);
    }

    fn end_path(&mut self) {
        if !self.data.is_empty() {
            let (attributes, data) = (&self.attributes, &self.data);
            let _ = writeln!(self.body, "<path {attributes} d=\"{data}\"/>");
        }
        self.attributes.clear();
        self.data.clear();
    }
}

/// The document around the shapes.
pub(super) fn document(width: u32, height: u32, alt: &str, body: &str) -> String {
    let alt = escape(alt);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{alt}\" \
         font-family=\"system-ui,'Segoe UI',Helvetica,Arial,sans-serif\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// A PNG file in a drawing, stretched to that size; coordinates in pixels.
pub(super) fn picture(png: &[u8], (x, y): (f64, f64), (width, height): (f64, f64)) -> String {
    let data = STANDARD.encode(png);
    format!(
        "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
         href=\"data:image/png;base64,{data}\"/>\n"
    )
}

/// Text as it may stand in an attribute or between tags.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 allows no other control characters, not even escaped.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate in pixels, without a trailing zero.
fn px(fine: i32) -> String {
    match fine % FINE {
        0 => (fine / FINE).to_string(),
        _ => format!("{:.1}", f64::from(fine) / f64::from(FINE)),
    }
}

fn point((x, y): BackendCoord) -> String {
    // A minus sign separates as well as a space.
    let (x, y) = (px(x), px(y));
    let space = if y.starts_with('-') { "" } else { " " };
    format!("{x}{space}{y}")
}

fn trace(points: impl IntoIterator<Item = BackendCoord>) -> String {
    let mut data = String::new();
    let mut last = None;
    for at in points {
        if last == Some(at) {
            continue;
        }
        data.push(if last.is_none() { 'M' } else { 'L' });
        data.push_str(&point(at));
        last = Some(at);
    }
    data
}

fn hex(color: BackendColor) -> String {
    let (r, g, b) = color.rgb;
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn opacity(kind: &str, color: BackendColor) -> String {
    match color.alpha {
        alpha if alpha >= 1.0 => String::new(),
        alpha => format!(" {kind}-opacity=\"{alpha:.2}\""),
    }
}

fn stroke(style: &impl BackendStyle) -> String {
    let color = style.color();
    let width = px(style.stroke_width() as i32);
    let (hex, opacity) = (hex(color), opacity("stroke", color));
    format!(
        "fill=\"none\" stroke=\"{hex}\"{opacity} stroke-width=\"{width}\" stroke-linejoin=\"round\""
    )
}

fn fill(color: BackendColor) -> String {
    format!("fill=\"{}\"{}", hex(color), opacity("fill", color))
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width * FINE as u32, self.height * FINE as u32)
    }

    fn ensure_prepared(&mut self) -> Done {
        Ok(())
    }

    fn present(&mut self) -> Done {
        self.end_path();
        Ok(())
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Done {
        self.draw_rect(at, (at.0 + FINE, at.1 + FINE), &color, true)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Done {
        self.draw_path([from, to], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Done {
        if style.color().alpha > 0.0 {
            self.path(stroke(style), &trace(path));
        }
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        style: &S,
        filled: bool,
    ) -> Done {
        if style.color().alpha > 0.0 {
            let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
            let data = trace(corners) + "Z";
            let look = if filled {
                fill(style.color())
            } else {
                stroke(style)
            };
            self.path(look, &data);
        }
        Ok(())
    }

    /// A dot is a stroke of no length with round ends: a tenth of the text of a `<circle>`.
    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        _filled: bool,
    ) -> Done {
        let color = style.color();
        let (hex, opacity, width) = (hex(color), opacity("stroke", color), px(2 * radius as i32));
        let look = format!(
            "fill=\"none\" stroke=\"{hex}\"{opacity} stroke-width=\"{width}\" stroke-linecap=\"round\""
        );
        let data = format!("M{}h0", point(center));
        self.path(look, &data);
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vertices: I,
        style: &S,
    ) -> Done {
        if style.color().alpha > 0.0 {
            self.path(fill(style.color()), &(trace(vertices) + "Z"));
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Done {
        self.end_path();
        let (x, y) = (px(at.0), px(at.1));
        let size = style.size();
        let anchor = match style.anchor().h_pos {
            HPos::Left => "",
            HPos::Right => " text-anchor=\"end\"",
            HPos::Center => " text-anchor=\"middle\"",
        };
        // The baseline lies about a third of the size below the middle of the letters.
        let drop = match style.anchor().v_pos {
            VPos::Top => 0.8,
            VPos::Center => 0.34,
            VPos::Bottom => -0.1,
        };
        let drop = px((drop * size) as i32);
        let turn = match style.transform() {
            FontTransform::None => 0,
            FontTransform::Rotate90 => 90,
            FontTransform::Rotate180 => 180,
            FontTransform::Rotate270 => 270,
        };
        let turn = match turn {
            0 => String::new(),
            turn => format!(" transform=\"rotate({turn} {x} {y})\""),
        };
        let weight = match style.style() {
            FontStyle::Bold => " font-weight=\"600\"",
            _ => "",
        };
        let (size, color, text) = (px(size as i32), hex(style.color()), escape(text));
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" dy=\"{drop}\" font-size=\"{size}\" fill=\"{color}\"{anchor}{weight}{turn}>{text}</text>"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short() {
        assert_eq!(point((120, 35)), "12 3.5");
        assert_eq!(point((-5, -30)), "-0.5-3");
        assert_eq!(trace([(0, 0), (0, 0), (10, 5)]), "M0 0L1 0.5");
    }

    #[test]
    fn text_cannot_break_the_document() {
        assert_eq!(escape("a<b & \"c\"\u{0}"), "a&lt;b &amp; &quot;c&quot; ");
    }
}
