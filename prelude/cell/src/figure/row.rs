//! Several drawings in one.

use super::svg::escape;
use super::{Figure, Image};
use crate::error::{Error, Result};

/// Puts drawings side by side, from left to right, each at its own size.
///
/// # Errors
/// [`Error::Empty`] without figures, [`Error::Draw`] when one is a picture of pixels.
///
/// # Example: data and density
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::figure::{Chart, color, row};
///
/// let line = |end| Chart::new("x", "y").line("", &[0.0, 1.0], &[0.0, end], color(0)).draw("a line");
/// let both = row(&[line(1.0)?, line(-1.0)?])?;
/// assert!(both.svg().is_some_and(|svg| svg.matches("<svg").count() == 3));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn row(figures: &[Figure]) -> Result<Figure> {
    if figures.is_empty() {
        return Err(Error::Empty {
            what: "the row of figures",
        });
    }
    let (mut width, mut height, mut inside) = (0.0, 0.0f64, String::new());
    for figure in figures {
        let svg = figure.svg().ok_or_else(|| {
            Error::Draw("a picture of pixels cannot stand in a row of drawings".into())
        })?;
        let (own_width, own_height) = size(svg)
            .ok_or_else(|| Error::Draw("a drawing in the row does not say its size".into()))?;
        inside += &svg.replacen("<svg", &format!("<svg x=\"{width}\""), 1);
        width += own_width;
        height = height.max(own_height);
    }
    let alt: Vec<&str> = figures.iter().map(|figure| figure.alt.as_str()).collect();
    let alt = alt.join("; ");
    let head = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n",
        escape(&alt)
    );
    Ok(Figure {
        image: Image::Svg(format!("{head}{inside}</svg>\n")),
        alt,
    })
}

/// Width and height that stand in the first tag.
fn size(svg: &str) -> Option<(f64, f64)> {
    let tag = svg.split('>').next()?;
    let attribute = |name: &str| -> Option<f64> {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()?.parse().ok()
    };
    Some((attribute("width")?, attribute("height")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(width: u32) -> Figure {
        Figure {
            image: Image::Svg(format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"7\"/>"
            )),
            alt: width.to_string(),
        }
    }

    #[test]
    fn drawings_stand_one_after_the_other() {
        let both = row(&[drawing(30), drawing(50)]).unwrap();
        assert_eq!(both.alt, "30; 50");
        let svg = both.svg().unwrap();
        assert!(svg.contains("width=\"80\" height=\"7\""), "{svg}");
        let document = roxmltree::Document::parse(svg).unwrap();
        let places: Vec<_> = document
            .root_element()
            .children()
            .filter_map(|c| c.attribute("x"))
            .collect();
        assert_eq!(places, ["0", "30"]);
        assert_eq!(
            document.root_element().attribute("aria-label"),
            Some("30; 50")
        );
    }

    #[test]
    fn what_cannot_stand_in_a_row_is_refused() {
        assert!(row(&[]).is_err());
        let pixels = Figure {
            image: Image::Png(vec![]),
            alt: String::new(),
        };
        assert!(row(&[pixels]).is_err());
        let sizeless = Figure {
            image: Image::Svg("<svg/>".into()),
            alt: String::new(),
        };
        assert!(row(&[sizeless]).is_err());
    }
}
