//! Pictures under each other, each with a label beside it.

use std::fmt::Write;

use super::svg::{LETTER, document, escape, picture};
use super::{Figure, Image};
use crate::error::{Error, Result};

/// The least and the most room for the labels, space around all, and space between two strips, in pixels.
const LABELS: (u32, u32) = (92, 320);
const AROUND: u32 = 10;
const BETWEEN: u32 = 8;

/// Puts pictures of pixels under each other, each with its label to the left.
///
/// # Errors
/// [`Error::Empty`] without pictures, [`Error::Draw`] when one is a drawing, or is no PNG file.
///
/// # Example: two strips
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::figure::{Pixels, strips};
///
/// let gray = Pixels::new(60, 20, 128).figure("gray")?;
/// let both = strips(&[("a", &gray), ("b", &gray)], "two strips")?;
/// assert!(both.svg().is_some_and(|svg| svg.matches("<image").count() == 2));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn strips(pictures: &[(&str, &Figure)], alt: impl Into<String>) -> Result<Figure> {
    if pictures.is_empty() {
        return Err(Error::Empty { what: "the strips" });
    }
    let letters = pictures.iter().map(|(label, _)| label.chars().count());
    let longest = letters.max().unwrap_or(0).min(LABELS.1 as usize) as f64;
    let labels = ((LETTER * longest) as u32 + 4).clamp(LABELS.0, LABELS.1);
    let most = (f64::from(labels) / LETTER) as usize;
    let (mut top, mut width, mut body) = (AROUND, 0, String::new());
    for (label, figure) in pictures {
        let Image::Png(file) = &figure.image else {
            return Err(Error::Draw(
                "a drawing cannot be a strip; `row` joins drawings".into(),
            ));
        };
        let (across, down) =
            size(file).ok_or_else(|| Error::Draw("a strip is no PNG file".into()))?;
        let _ = writeln!(
            body,
            "<text x=\"{AROUND}\" y=\"{}\" dy=\"4.3\" font-size=\"12.5\" fill=\"#222\">{}</text>",
            top + down / 2,
            escape(&shortened(label, most))
        );
        let place = (f64::from(AROUND + labels), f64::from(top));
        body += &picture(file, place, (f64::from(across), f64::from(down)));
        top += down + BETWEEN;
        width = width.max(across);
    }
    let alt = alt.into();
    let (width, height) = (width + labels + 2 * AROUND, top - BETWEEN + AROUND);
    Ok(Figure {
        image: Image::Svg(document(width, height, &alt, &body)),
        alt,
    })
}

/// A label with at most so many letters.
fn shortened(label: &str, most: usize) -> String {
    match label.char_indices().nth(most) {
        None => label.to_owned(),
        Some(_) => label.chars().take(most.max(1) - 1).chain(['…']).collect(),
    }
}

/// Width and height, which stand at the start of each PNG file.
fn size(png: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(png.get(at..at + 4)?.try_into().ok()?));
    match png.get(12..16)? == b"IHDR" {
        true => Some((number(16)?, number(20)?)),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chart, GRAY, Pixels};
    use super::*;

    #[test]
    fn strips_stand_under_each_other_at_their_own_size() {
        let of = |width, height| Pixels::new(width, height, 7).figure("").unwrap();
        let (wide, high) = (of(300, 20), of(40, 50));
        let figure = strips(&[("α < 3", &wide), ("b", &high)], "two").unwrap();
        let text = figure.svg().unwrap();
        let document = roxmltree::Document::parse(text).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("width"), Some("412"));
        assert_eq!(root.attribute("height"), Some("98"));
        let images = document
            .descendants()
            .filter(|node| node.has_tag_name("image"));
        let tops: Vec<_> = images.filter_map(|image| image.attribute("y")).collect();
        assert_eq!(tops, ["10", "38"]);
        assert!(text.contains(">α &lt; 3<"));
        // A long label moves the pictures; one that is longer still is cut.
        for (letters, left) in [(13, 102.0), (23, 170.0), (1000, 330.0)] {
            let figure = strips(&[(&"n".repeat(letters), &wide)], "one").unwrap();
            let document = roxmltree::Document::parse(figure.svg().unwrap()).unwrap();
            let mut nodes = document.descendants();
            let image = nodes.find(|node| node.has_tag_name("image")).unwrap();
            assert_eq!(image.attribute("x").unwrap().parse(), Ok(left), "{letters}");
        }
    }

    #[test]
    fn what_is_no_strip_is_refused() {
        assert!(strips(&[], "").is_err());
        let line = Chart::new("x", "y")
            .line("", &[0.0, 1.0], &[0.0, 1.0], GRAY)
            .draw("")
            .unwrap();
        assert!(strips(&[("a", &line)], "").is_err());
        let broken = Figure {
            image: Image::Png(vec![1, 2, 3]),
            alt: String::new(),
        };
        assert!(strips(&[("a", &broken)], "").is_err());
    }
}
