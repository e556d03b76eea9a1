//! A slider for pages without a kernel: all its pictures are drawn beforehand.

use std::fmt::Write;

use super::control::Control;
use crate::display::{Show, plain};
use crate::error::{Error, Result};
use crate::frame::Bundle;
use crate::media::{KEYS, escape, standing_alone, with};
use crate::progress::{Progress, quietly};
use crate::text::bytes;

/// The most that a page may take on, in bytes.
const MOST: usize = 16_000_000;

/// Pictures, one for each value of a slider, as a page that needs no kernel. [`Control::frames`] makes it.
#[derive(Debug, Clone)]
pub struct Frames {
    label: String,
    values: Vec<String>,
    /// How each looks, as HTML.
    pictures: Vec<String>,
    /// The one in the middle, which is shown first.
    middle: Bundle,
}

impl<T: Clone + Send + Sync + 'static> Control<T> {
    /// Draws a picture for each value, as a page with a slider that needs no kernel: in a notebook that is only read,
    /// in nbconvert's pages and in those of `itd run`. Where no scripts run the picture in the middle is shown.
    ///
    /// Of a range, 25 values are drawn; of a list, all. `draw` is called now, so it may borrow. The whole may take
    /// 16 MB.
    ///
    /// # Errors
    /// What keeps a picture from being drawn; [`Error::Draw`] when all together are too large.
    ///
    /// # Example
    /// ```
    /// # use itd_cell as itd_prelude;
    /// use itd_prelude::figure::{Chart, color};
    /// use itd_prelude::widget::slider;
    ///
    /// let alphas = [-6.0, 0.0, 6.0];
    /// let frames = slider("log-SNR α", &alphas).frames(|alpha| {
    ///     let x = [0.0, 1.0];
    ///     Chart::new("x", "αx").line("", &x, &x.map(|x| alpha * x), color(0)).draw(format!("slope {alpha}"))
    /// })?;
    /// let text = frames.to_string();
    /// assert!(frames.len() == 3 && text.starts_with("log-SNR α: 3 frames from -6 to 6, "));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn frames<S: Show>(&self, mut draw: impl FnMut(T) -> S) -> Result<Frames> {
        self.sound()?;
        let values = self.values();
        let middle = values.len() / 2;
        let mut frames = Frames {
            label: self.label(),
            values: Vec::new(),
            pictures: Vec::new(),
            middle: Bundle::new(),
        };
        let mut size = 0;
        quietly(|| {
            let mut bar = Progress::new("drawing frames", values.len() as u64);
            for (i, value) in values.iter().enumerate() {
                frames.values.push(self.words(value));
                let bundle = draw(value.clone()).bundle()?;
                let picture = standing_alone(&bundle);
                size += picture.len();
                if size > MOST {
                    let (count, all) = (i + 1, values.len());
                    return Err(Error::Draw(format!(
                        "the first {count} of {all} frames take {}; all together may take {}; \
                         draw fewer values, or smaller figures",
                        bytes(size as u64),
                        bytes(MOST as u64)
                    )));
                }
                frames.pictures.push(picture);
                if i == middle {
                    frames.middle = bundle;
                }
                bar.step()?;
            }
            Ok(frames)
        })
    }
}

/// What the slider does: shows the picture of its place, and says the value. It names nothing outside of its own box,
/// so that several can stand on one page.
const MOVE: &str = "var b=this.closest('.itd-frames'),f=b.querySelectorAll('.itd-frame'),v=f[this.value].dataset.value;\
                    f.forEach((x,i)=>x.style.display=i==this.value?'':'none');b.querySelector('output').textContent=v;\
                    this.setAttribute('aria-valuetext',v)";

impl Frames {
    /// How many pictures there are.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Never: a slider has at least one value.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// The page's part, without anything else that it needs.
    pub fn html(&self) -> String {
        let (label, last, middle) = (escape(&self.label), self.len() - 1, self.len() / 2);
        let value = escape(&self.values[middle]);
        let mut html = format!(
            "<div class=\"itd-frames\" style=\"font:14px system-ui,sans-serif\">\
             <label style=\"display:flex;align-items:center;gap:.8em;flex-wrap:wrap\"><span>{label}</span>\
             <input type=\"range\" {KEYS} min=\"0\" max=\"{last}\" step=\"1\" value=\"{middle}\" autocomplete=\"off\" \
             style=\"flex:0 1 22em\" aria-label=\"{label}\" aria-valuetext=\"{value}\" oninput=\"{MOVE}\" />\
             <output style=\"font-variant-numeric:tabular-nums\">{value}</output></label>"
        );
        for (i, (picture, value)) in self.pictures.iter().zip(&self.values).enumerate() {
            // Not `hidden`: JupyterLab takes that away from what it does not trust, and all pictures would be seen.
            let hidden = if i == middle {
                ""
            } else {
                " style=\"display:none\""
            };
            let value = escape(value);
            let _ = write!(
                html,
                "<div class=\"itd-frame\" data-value=\"{value}\"{hidden}>{picture}</div>"
            );
        }
        html + "</div>"
    }
}

impl std::fmt::Display for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (label, count) = (&self.label, self.len());
        let size: usize = self.pictures.iter().map(String::len).sum();
        let (Some(first), Some(last)) = (self.values.first(), self.values.last()) else {
            return Ok(());
        };
        let (size, middle) = (bytes(size as u64), &self.values[count / 2]);
        write!(
            f,
            "{label}: {count} frames from {first} to {last}, {size}; here {middle}"
        )?;
        match self.middle.get("text/plain").and_then(|text| text.as_str()) {
            Some(text) => write!(f, "\n{text}"),
            None => Ok(()),
        }
    }
}

impl Show for Frames {
    fn bundle(&self) -> Result<Bundle> {
        // For terminals and papers, the one in the middle.
        let mut bundle = plain(self.to_string());
        for mime in ["image/svg+xml", "image/png"] {
            if let Some(content) = self.middle.get(mime) {
                bundle.insert(mime.to_owned(), content.clone());
            }
        }
        Ok(with(bundle, "text/html", self.html()))
    }
}

#[cfg(test)]
mod tests {
    use crate::figure::Pixels;
    use crate::widget::{dropdown, slider};

    #[test]
    fn a_page_has_all_pictures_and_shows_the_one_in_the_middle() {
        let alphas = [-6.0, -1.5, 0.5, 8.0, 12.0];
        let frames = slider("α <noise>", &alphas)
            .frames(|alpha| Pixels::new(4, 4, 0).figure(format!("\"{alpha}\"")));
        let html = frames.as_ref().unwrap().html();
        let document = roxmltree::Document::parse(&html).unwrap();
        let of = |name: &str| -> Vec<_> {
            document
                .descendants()
                .filter(|node| node.has_tag_name(name))
                .collect()
        };
        let boxes: Vec<_> = of("div")
            .into_iter()
            .filter(|node| node.attribute("class") == Some("itd-frame"))
            .collect();
        let shown: Vec<_> = boxes
            .iter()
            .filter(|node| node.attribute("style").is_none())
            .collect();
        assert_eq!((boxes.len(), shown.len()), (5, 1));
        assert_eq!(shown[0].attribute("data-value"), Some("0.5"));
        assert_eq!(of("output")[0].text(), Some("0.5"));
        let input = of("input")[0];
        assert_eq!(
            (input.attribute("max"), input.attribute("value")),
            (Some("4"), Some("2"))
        );
        assert_eq!(input.attribute("aria-label"), Some("α <noise>"));
        let alts: Vec<_> = of("img")
            .iter()
            .filter_map(|img| img.attribute("alt"))
            .collect();
        assert_eq!(alts, ["\"-6\"", "\"-1.5\"", "\"0.5\"", "\"8\"", "\"12\""]);
        let text = frames.unwrap().to_string();
        assert!(
            text.starts_with("α <noise>: 5 frames from -6 to 12")
                && text.ends_with("here 0.5\n\"0.5\""),
            "{text}"
        );
    }

    #[test]
    fn ranges_and_menus_have_frames_too_and_values_of_any_form() {
        let of_range = slider("a", 0.0..=1.0).frames(|a| a).unwrap();
        assert_eq!((of_range.len(), of_range.values[12].as_str()), (25, "0.5"));
        assert!(of_range.html().contains("<pre>0.25</pre>"));
        assert_eq!(
            slider("n", 1..=4).frames(|n| n).unwrap().values,
            ["1", "2", "3", "4"]
        );
        assert_eq!(slider("n", 0..=240).frames(|n| n).unwrap().values[1], "10");
        let names = dropdown("rule", &["a", "b"]).frames(|name| name).unwrap();
        assert_eq!(names.values, ["a", "b"]);
    }

    #[test]
    fn what_would_fill_a_page_is_refused() {
        let mut drawn = 0;
        let big = slider("a", 0.0..=1.0).frames(|_| {
            drawn += 1;
            crate::media::Html("x".repeat(3_000_000))
        });
        let error = big.unwrap_err().to_string();
        assert!(
            error.contains("the first 6 of 25 frames take 18.0 MB")
                && error.contains("fewer values"),
            "{error}"
        );
        assert_eq!(drawn, 6, "the rest is not drawn");
    }

    #[test]
    fn a_picture_that_cannot_be_drawn_ends_it() {
        let failed = slider("a", 0.0..=1.0).frames(|_| Pixels::new(0, 0, 0).figure(""));
        assert!(failed.is_err());
    }
}
