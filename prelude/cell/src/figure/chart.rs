//! Lines, bands and points over two axes.

use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{
    Cartesian2d, ChartBuilder, ChartContext, Color as _, IntoDrawingArea, RGBColor, ShapeStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontDesc, FontFamily, FontStyle, TextStyle};

use super::axis::{Axis, Scale};
use super::clip::Frame;
use super::svg::{Canvas, FINE, LETTER, document};
use super::{Color, Figure, Image, svg, thin};
use crate::error::{Error, Result};

/// Where the names of the series stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Legend {
    /// In a row above the axes.
    #[default]
    Above,
    /// Nowhere.
    None,
}

/// What is drawn, in the order in which it was added.
#[derive(Debug, Clone)]
enum Layer {
    Line(Vec<(f64, f64)>),
    /// A line in dashes.
    Dashes(Vec<(f64, f64)>),
    /// Dots, with their radius and opacity.
    Dots(Vec<(f64, f64)>, f64, f64),
    /// A closed outline; outlines of one colour join, and one that runs the other way cuts a hole.
    Area(Vec<(f64, f64)>, f64),
}

#[derive(Debug, Clone)]
struct Series {
    layer: Layer,
    color: Color,
    name: Option<String>,
}

/// A drawing with two axes, made by adding layers from back to front.
///
/// # Example: a line with a band around it
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::figure::{Chart, color};
///
/// let x = [0.0, 1.0, 2.0];
/// let figure = Chart::new("log-SNR", "error")
///     .band(&x, &[0.8, 1.8, 0.4], &[1.2, 2.2, 0.6], color(0), 0.2)
///     .line("a net", &x, &[1.0, 2.0, 0.5], color(0))
///     .draw("A line")?;
/// assert!(figure.svg().is_some_and(|svg| svg.starts_with("<svg")));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Chart {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// What stands above, left out when empty.
    pub title: String,
    /// What is on the horizontal axis, with its unit.
    pub x_label: String,
    /// What is on the vertical axis, with its unit.
    pub y_label: String,
    /// How the horizontal axis counts.
    pub x_scale: Scale,
    /// How the vertical axis counts.
    pub y_scale: Scale,
    /// Ends of the horizontal axis; found from the data when `None`. What lies beyond is not drawn.
    pub x_range: Option<(f64, f64)>,
    /// Ends of the vertical axis; found from the data when `None`. What lies beyond is not drawn.
    pub y_range: Option<(f64, f64)>,
    /// Where the names of the series stand.
    pub legend: Legend,
    /// A picture of pixels behind the series, stretched over all between the axes; the lines of the mesh are left out.
    pub backdrop: Option<Figure>,
    /// What the horizontal axis shows in any case.
    reached: Vec<f64>,
    series: Vec<Series>,
}

impl Chart {
    /// An empty chart with named axes.
    pub fn new(x_label: impl Into<String>, y_label: impl Into<String>) -> Self {
        Self {
            size: (640, 400),
            title: String::new(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            x_scale: Scale::Linear,
            y_scale: Scale::Linear,
            x_range: None,
            y_range: None,
            legend: Legend::Above,
            backdrop: None,
            reached: Vec::new(),
            series: Vec::new(),
        }
    }

    /// Adds a line; an empty `name` stays out of the legend. It is broken where a value is not finite.
    pub fn line(mut self, name: &str, x: &[f64], y: &[f64], color: Color) -> Self {
        self.push(Layer::Line(pairs(x, y)), name, color);
        self
    }

    /// Adds a dashed line; see [`Self::line`].
    pub fn dashed(mut self, name: &str, x: &[f64], y: &[f64], color: Color) -> Self {
        self.push(Layer::Dashes(pairs(x, y)), name, color);
        self
    }

    /// Fills the band between two lines over the same `x`.
    pub fn band(self, x: &[f64], low: &[f64], high: &[f64], color: Color, opacity: f64) -> Self {
        let there = pairs(x, low).into_iter().filter(finite);
        let back = pairs(x, high).into_iter().rev().filter(finite);
        let outline = there.chain(back).collect();
        self.area("", outline, color, opacity)
    }

    /// Fills a closed outline.
    pub fn area(
        mut self,
        name: &str,
        outline: Vec<(f64, f64)>,
        color: Color,
        opacity: f64,
    ) -> Self {
        self.push(Layer::Area(outline, opacity), name, color);
        self
    }

    /// Adds dots of `radius` pixels.
    pub fn points(self, name: &str, x: &[f64], y: &[f64], color: Color, radius: f64) -> Self {
        self.dots(name, x, y, color, (radius, 0.8))
    }

    /// Adds dots of so many pixels and such an opacity: `(radius, opacity)`.
    pub fn dots(
        mut self,
        name: &str,
        x: &[f64],
        y: &[f64],
        color: Color,
        (radius, opacity): (f64, f64),
    ) -> Self {
        self.push(Layer::Dots(pairs(x, y), radius, opacity), name, color);
        self
    }

    fn push(&mut self, layer: Layer, name: &str, color: Color) {
        let name = (!name.is_empty()).then(|| name.to_owned());
        self.series.push(Series { layer, color, name });
    }

    /// Draws everything; `alt` says in words what the picture shows.
    ///
    /// # Errors
    /// [`Error::Draw`] when no value can be drawn, when a range that was given is not finite, has its upper end first or
    /// reaches 0 on a log axis, and when the picture is too small for its axes.
    pub fn draw(&self, alt: impl Into<String>) -> Result<Figure> {
        let alt = alt.into();
        let (width, height) = self.size;
        if !(160..=4000).contains(&width) || !(120..=4000).contains(&height) {
            return Err(Error::Draw(format!(
                "its size is {width} × {height}; each side must be 160 to 4000 pixels, the height 120"
            )));
        }
        let mut body = String::new();
        let [left, top, right, bottom] = self.paint(&mut body)?;
        if let Some(Figure {
            image: Image::Png(file),
            ..
        }) = &self.backdrop
        {
            let picture = svg::picture(file, (left, top), (right - left, bottom - top));
            body.insert_str(0, &picture);
        }
        Ok(Figure {
            image: Image::Svg(document(width, height, &alt, &body)),
            alt,
        })
    }

    /// The horizontal axis shows these, too, wherever the series end: for a picture that is drawn again as they grow.
    /// [`Self::x_range`] goes before it.
    ///
    /// # Example
    /// ```
    /// # use itd_cell as itd_prelude;
    /// use itd_prelude::figure::{Chart, color};
    ///
    /// let begun = Chart::new("step", "loss").line("", &[0.0, 1.0], &[3.0, 2.0], color(0));
    /// let figure = begun.reach(&[0.0, 100.0]).draw("a loss")?;
    /// assert!(figure.svg().is_some_and(|svg| svg.contains(">100<")));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn reach(mut self, x: &[f64]) -> Self {
        self.reached.extend(x);
        self
    }

    /// Draws all but the backdrop, and says where the axes are: left, top, right and bottom, in pixels.
    fn paint(&self, body: &mut String) -> Result<[f64; 4]> {
        let layers: Vec<Series> = self.series.iter().map(|s| self.scaled(s)).collect();
        let all = || {
            layers
                .iter()
                .flat_map(|s| s.layer.points().iter().copied().filter(finite))
        };
        let reached = self.reached.iter().map(|&x| self.x_scale.of(x));
        let x = Axis::new(
            self.x_scale,
            self.x_range,
            all().map(|p| p.0).chain(reached),
            (self.size.0 / 80) as usize,
        )?;
        let y = Axis::new(
            self.y_scale,
            self.y_range,
            all().map(|p| p.1),
            (self.size.1 / 55) as usize,
        )?;

        let area = Canvas::new(self.size.0, self.size.1, body).into_drawing_area();
        let mut top = 14;
        if !self.title.is_empty() {
            let style = text(self.title_size(), FontStyle::Bold, (34, 34, 34));
            area.draw(&Text::new(
                self.title.clone(),
                (fine(MARGIN), fine(12.0)),
                style,
            ))
            .map_err(fail)?;
            top += 22;
        }
        if self.legend == Legend::Above && layers.iter().any(|s| s.name.is_some()) {
            let mut left = MARGIN;
            for series in layers.iter().filter(|s| s.name.is_some()) {
                let right = left + key_width(series);
                if left > MARGIN && right > f64::from(self.size.0) - MARGIN {
                    (left, top) = (MARGIN, top + LEGEND_LINE);
                }
                // Most of the figure is for the data; names that no longer fit are left out.
                if top > self.size.1 as i32 / 3 {
                    break;
                }
                key(&area, series, left, f64::from(top + 4))?;
                left += key_width(series) + 18.0;
            }
            top += 22;
        }
        let mut chart = ChartBuilder::on(&area)
            .margin_top(fine(f64::from(top)))
            .margin_right(fine(18.0))
            .margin_bottom(fine(6.0))
            .margin_left(fine(8.0))
            .x_label_area_size(fine(38.0))
            .y_label_area_size(fine(y.label_width() + 26.0))
            .build_cartesian_2d(x, y)
            .map_err(fail)?;
        let mesh = match self.backdrop {
            Some(_) => RGBColor(0, 0, 0).mix(0.0).into(),
            None => stroke((230, 230, 230), 1.0),
        };
        chart
            .configure_mesh()
            .light_line_style(RGBColor(0, 0, 0).mix(0.0))
            .bold_line_style(mesh)
            .axis_style(stroke((150, 150, 150), 1.0))
            .label_style(text(11.5, FontStyle::Normal, (68, 68, 68)))
            .axis_desc_style(text(12.5, FontStyle::Normal, (34, 34, 34)))
            .set_all_tick_mark_size(fine(4.0))
            .x_desc(self.x_label.as_str())
            .y_desc(self.y_label.as_str())
            .draw()
            .map_err(fail)?;
        for series in &layers {
            series.draw(&mut chart)?;
        }
        area.present().map_err(fail)?;
        let (across, down) = chart.plotting_area().get_pixel_range();
        let pixels = |fine: i32| f64::from(fine) / f64::from(FINE);
        Ok([across.start, down.start, across.end, down.end].map(pixels))
    }

    /// The size of the letters above, in pixels: a long title in a small figure is written smaller.
    fn title_size(&self) -> f64 {
        let letters = self.title.chars().count().max(1) as f64;
        let room = f64::from(self.size.0) - 2.0 * MARGIN;
        (room / letters / BOLD_LETTER).clamp(9.0, 14.0)
    }

    /// A series with logarithms taken where the axes ask for them.
    fn scaled(&self, series: &Series) -> Series {
        let at = |&(x, y): &(f64, f64)| (self.x_scale.of(x), self.y_scale.of(y));
        let mut series = series.clone();
        let points = series.layer.points().iter().map(at).collect();
        match &mut series.layer {
            Layer::Line(old) | Layer::Dashes(old) | Layer::Dots(old, ..) | Layer::Area(old, _) => {
                *old = points
            }
        }
        series
    }
}

impl Layer {
    fn points(&self) -> &[(f64, f64)] {
        match self {
            Self::Line(points)
            | Self::Dashes(points)
            | Self::Dots(points, ..)
            | Self::Area(points, _) => points,
        }
    }
}

type Context<'a, 'b> = ChartContext<'a, Canvas<'b>, Cartesian2d<Axis, Axis>>;

impl Series {
    fn draw(&self, chart: &mut Context<'_, '_>) -> Result<()> {
        let Self { layer, color, .. } = self;
        let (x, y) = (chart.x_range(), chart.y_range());
        let frame = Frame {
            x: (x.start, x.end),
            y: (y.start, y.end),
        };
        // Pieces of a line without gaps, none of it outside.
        let pieces = |points: &[(f64, f64)]| -> Vec<Vec<(f64, f64)>> {
            let whole = points.split(|p| !finite(p)).filter(|piece| piece.len() > 1);
            whole.flat_map(|piece| frame.line(piece)).collect()
        };
        let area = chart.plotting_area();
        // From here on in tenths of pixels, counted from the corner of the axes.
        let (left, top) = area.get_base_pixel();
        let at = |point: &(f64, f64)| {
            let (x, y) = area.map_coordinate(point);
            (x - left, y - top)
        };
        let area = area.strip_coord_spec();
        match layer {
            Layer::Line(points) => {
                for piece in pieces(points) {
                    for piece in thin::line(piece.iter().map(at).collect()) {
                        let line = PathElement::new(piece, stroke(*color, 2.0));
                        area.draw(&line).map_err(fail)?;
                    }
                }
            }
            Layer::Dashes(points) => {
                for piece in pieces(points) {
                    for piece in thin::line(piece.iter().map(at).collect()) {
                        for dash in dashes(&piece) {
                            let line = PathElement::new(dash, stroke(*color, 1.6));
                            area.draw(&line).map_err(fail)?;
                        }
                    }
                }
            }
            Layer::Dots(points, radius, opacity) => {
                let inside = |p: &&(f64, f64)| frame.holds(**p);
                let dots = thin::dots(points.iter().filter(inside).map(at).collect());
                for middle in dots.alone {
                    let dot = Circle::new(middle, fine(*radius), filled(*color, *opacity));
                    area.draw(&dot).map_err(fail)?;
                }
                // A stroke ends where it is told to, a dot its radius beyond.
                let (reach, width) = (fine(*radius), fine(2.0 * radius).max(dots.cell));
                let style = RGBColor(color.0, color.1, color.2)
                    .mix(*opacity)
                    .stroke_width(width.max(1) as u32);
                for ((from, y), (to, _)) in dots.rows {
                    let row = PathElement::new(vec![(from - reach, y), (to + reach, y)], style);
                    area.draw(&row).map_err(fail)?;
                }
            }
            Layer::Area(outline, opacity) => {
                let outline = outline.iter().copied().filter(finite).collect();
                let outline = frame.outline(outline);
                if outline.len() > 2 {
                    let outline = thin::outline(outline.iter().map(at).collect());
                    let shape = Polygon::new(outline, filled(*color, *opacity));
                    area.draw(&shape).map_err(fail)?;
                }
            }
        }
        Ok(())
    }
}

type Area<'b> = plotters::drawing::DrawingArea<Canvas<'b>, plotters::coord::Shift>;

/// Left and right of title and legend, in pixels.
const MARGIN: f64 = 16.0;

/// Width of a bold letter, as a share of its size. DejaVu Sans, a wide font, has 0.59 in the mean of such titles.
const BOLD_LETTER: f64 = 0.62;

/// From one line of the legend to the next, in pixels.
const LEGEND_LINE: i32 = 16;

/// Width of an entry of the legend, in pixels: its mark and about as much as the letters need.
fn key_width(series: &Series) -> f64 {
    let letters = series.name.as_ref().map_or(0, |name| name.chars().count());
    24.0 + letters as f64 * LETTER
}

/// Draws one entry of the legend.
fn key(area: &Area<'_>, series: &Series, left: f64, top: f64) -> Result<()> {
    let middle = fine(top + 6.0);
    let (start, end) = (fine(left), fine(left + 18.0));
    match series.layer {
        Layer::Line(_) => {
            let line = PathElement::new(
                vec![(start, middle), (end, middle)],
                stroke(series.color, 2.5),
            );
            area.draw(&line)
        }
        Layer::Dashes(_) => {
            for (from, to) in [(0.0, 7.0), (11.0, 18.0)] {
                let ends = vec![(fine(left + from), middle), (fine(left + to), middle)];
                let dash = PathElement::new(ends, stroke(series.color, 2.0));
                area.draw(&dash).map_err(fail)?;
            }
            Ok(())
        }
        Layer::Dots(..) => {
            let dot = Circle::new(
                (fine(left + 9.0), middle),
                fine(3.0),
                filled(series.color, 1.0),
            );
            area.draw(&dot)
        }
        Layer::Area(_, opacity) => {
            let corners = [(start, middle - fine(5.0)), (end, middle + fine(5.0))];
            area.draw(&Rectangle::new(corners, filled(series.color, opacity)))
        }
    }
    .map_err(fail)?;
    let name = series.name.clone().unwrap_or_default();
    let style = text(12.5, FontStyle::Normal, (34, 34, 34)).pos(Pos::new(HPos::Left, VPos::Center));
    let label = Text::new(name, (fine(left + 24.0), middle), style);
    area.draw(&label).map_err(fail)
}

/// Length of a dash and of the gap behind it, in pixels.
const DASH: (f64, f64) = (6.0, 4.0);

/// The pieces of a line that are drawn when it is dashed; coordinates are the backend's.
fn dashes(line: &[(i32, i32)]) -> Vec<Vec<(i32, i32)>> {
    let (dash, gap) = (f64::from(fine(DASH.0)), f64::from(fine(DASH.1)));
    let mut pieces = Vec::new();
    let mut piece: Vec<(i32, i32)> = line.first().copied().into_iter().collect();
    // What is left of the dash or gap that has begun.
    let (mut drawn, mut left) = (true, dash);
    for pair in line.windows(2) {
        let [(x, y), (to_x, to_y)] = [pair[0], pair[1]].map(|(x, y)| (f64::from(x), f64::from(y)));
        let length = (to_x - x).hypot(to_y - y);
        let mut gone = 0.0;
        while length - gone > left {
            gone += left;
            let share = gone / length;
            let here = (x + share * (to_x - x), y + share * (to_y - y));
            let here = (here.0.round() as i32, here.1.round() as i32);
            if drawn {
                piece.push(here);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![here];
            }
            drawn = !drawn;
            left = if drawn { dash } else { gap };
        }
        left -= length - gone;
        if drawn {
            piece.push(pair[1]);
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

fn pairs(x: &[f64], y: &[f64]) -> Vec<(f64, f64)> {
    x.iter().copied().zip(y.iter().copied()).collect()
}

fn finite(&(x, y): &(f64, f64)) -> bool {
    x.is_finite() && y.is_finite()
}

fn fine(pixels: f64) -> i32 {
    (pixels * f64::from(FINE)).round() as i32
}

fn stroke((r, g, b): Color, width: f64) -> ShapeStyle {
    RGBColor(r, g, b).stroke_width(fine(width) as u32)
}

fn filled((r, g, b): Color, opacity: f64) -> ShapeStyle {
    RGBColor(r, g, b).mix(opacity).filled()
}

fn text(size: f64, style: FontStyle, (r, g, b): Color) -> TextStyle<'static> {
    TextStyle {
        font: FontDesc::new(FontFamily::SansSerif, f64::from(fine(size)), style),
        color: RGBColor(r, g, b).to_backend_color(),
        pos: Pos::new(HPos::Left, VPos::Top),
    }
}

fn fail(error: impl std::fmt::Display) -> Error {
    Error::Draw(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::GRAY;
    use super::*;

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        assert!(Chart::new("x", "y").draw("").is_err());
        let nan = Chart::new("x", "y").line("a", &[0.0, 1.0], &[f64::NAN, f64::NAN], GRAY);
        assert!(nan.draw("").is_err());
        let one = Chart::new("x", "y").line("a", &[1.0, 1.0], &[2.0, 2.0], GRAY);
        assert!(one.draw("").is_ok());
        let mut small = one;
        small.size = (10, 10);
        assert!(small.draw("").is_err());
    }

    #[test]
    fn dashes_cover_their_share_of_a_line() {
        let line = [(0, 0), (1_000, 0), (1_000, 3_000)];
        let pieces = dashes(&line);
        let length = |piece: &Vec<(i32, i32)>| -> f64 {
            let step =
                |p: &[(i32, i32)]| f64::from(p[1].0 - p[0].0).hypot(f64::from(p[1].1 - p[0].1));
            piece.windows(2).map(step).sum()
        };
        let drawn: f64 = pieces.iter().map(length).sum();
        assert!((drawn / 4_000.0 - 0.6).abs() < 0.02, "{drawn}");
        assert_eq!(pieces.len(), 40);
        assert!(dashes(&[]).is_empty() && dashes(&[(5, 5)]).is_empty());
    }

    #[test]
    fn a_backdrop_fills_the_axes_and_nothing_else() {
        let mut chart = Chart::new("x", "y").line("a", &[0.0, 1.0], &[0.0, 1.0], GRAY);
        chart.backdrop = super::super::Pixels::new(4, 4, 90).figure("").ok();
        let figure = chart.draw("with a backdrop").unwrap();
        let text = figure.svg().unwrap();
        let document = roxmltree::Document::parse(text).unwrap();
        let image = document
            .descendants()
            .find(|node| node.has_tag_name("image"));
        let number = |name| {
            image
                .unwrap()
                .attribute(name)
                .unwrap()
                .parse::<f64>()
                .unwrap()
        };
        let (left, top) = (number("x"), number("y"));
        assert!(left > 20.0 && top > 10.0, "{left} {top}");
        assert!(left + number("width") < 640.0 && top + number("height") < 400.0);
    }

    #[test]
    fn what_lies_beyond_given_ends_is_not_drawn_and_what_lies_on_them_is() {
        let drawn = |x: &[f64], y: &[f64]| {
            let mut chart = Chart::new("x", "y").points("", x, y, GRAY, 2.0);
            (chart.x_range, chart.y_range) = (Some((0.0, 1.0)), Some((0.0, 1.0)));
            chart.draw("").unwrap().svg().unwrap().to_owned()
        };
        let inside = drawn(&[0.0, 1.0], &[0.5, 1.0]);
        assert_eq!(inside, drawn(&[0.0, 1.0, 1.0], &[0.5, 1.0, 2.0]));
        assert_ne!(inside, drawn(&[0.0], &[0.5]));
        let mut chart = Chart::new("x", "y").line("", &[0.0, 1.0], &[0.0, 10.0], GRAY);
        for bad in [(1.0, 0.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            chart.y_range = Some(bad);
            let said = chart.draw("").unwrap_err().to_string();
            assert!(said.contains("the lower one first"), "{said}");
        }
        chart.y_scale = Scale::Log;
        chart.y_range = Some((0.0, 1.0));
        let said = chart.draw("").unwrap_err().to_string();
        assert!(said.contains("above 0"), "{said}");
    }

    #[test]
    fn a_title_fits_into_its_figure() {
        let size_of = |title: &str, width: u32| -> f64 {
            let mut chart = Chart::new("x", "y").line("", &[0.0, 1.0], &[0.0, 1.0], GRAY);
            (chart.title, chart.size) = (title.into(), (width, 260));
            let figure = chart.draw("with a title").unwrap();
            let svg = roxmltree::Document::parse(figure.svg().unwrap()).unwrap();
            let mut texts = svg.descendants().filter(|node| node.has_tag_name("text"));
            let written = texts.find(|node| node.text() == Some(title)).unwrap();
            written.attribute("font-size").unwrap().parse().unwrap()
        };
        assert_eq!(size_of("a short one", 240), 14.0);
        let long = "T = 16: 0.067 nats too much";
        assert_eq!(size_of(long, 640), 14.0);
        let small = size_of(long, 240);
        assert!((9.0..14.0).contains(&small), "{small}");
        // A bold letter of DejaVu Sans is 0.59 as wide as it is high, in the mean.
        assert!(
            16.0 + long.len() as f64 * 0.59 * small <= 240.0 - 16.0,
            "{small}"
        );
    }

    #[test]
    fn names_that_fill_a_line_go_on_in_the_next() {
        for (count, length) in [(4, 20), (7, 12), (3, 60), (300, 30)] {
            let mut chart = Chart::new("x", "y");
            for i in 0..count {
                let name = format!("{i}{}", "n".repeat(length));
                chart = chart.line(&name, &[0.0, 1.0], &[0.0, 1.0], crate::figure::color(i));
            }
            let figure = chart.draw("many names").unwrap();
            let svg = roxmltree::Document::parse(figure.svg().unwrap()).unwrap();
            let of = |node: &roxmltree::Node<'_, '_>, name| {
                node.attribute(name).unwrap().parse().unwrap()
            };
            let texts = svg.descendants().filter(|node| node.has_tag_name("text"));
            let names = texts.filter(|node| node.text().is_some_and(|text| text.contains("nnnn")));
            let places: Vec<(f64, f64)> =
                names.map(|node| (of(&node, "x"), of(&node, "y"))).collect();
            assert!(
                places.len() == count || count == 300 && places.len() > 10,
                "{places:?}"
            );
            for &(x, y) in &places {
                assert!(y < 160.0, "{places:?}");
                // A letter is about half as wide as it is high.
                let end = x + (length + 1) as f64 * 6.4;
                assert!(end < 640.0, "{count} names of {length} letters: {end}");
            }
        }
    }

    #[test]
    fn a_million_points_are_a_small_drawing() {
        let x: Vec<f64> = (0..1_000_000).map(f64::from).collect();
        let y: Vec<f64> = x
            .iter()
            .map(|x| (x * 0.37).sin() + (x * 1e-5).cos())
            .collect();
        let chart = Chart::new("x", "y");
        for (name, chart, most) in [
            (
                "points",
                chart.clone().points("a", &x, &y, GRAY, 1.5),
                400_000,
            ),
            ("line", chart.clone().line("a", &x, &y, GRAY), 100_000),
            ("loop", chart.clone().line("a", &y, &x, GRAY), 400_000),
            ("band", chart.band(&x, &y, &y, GRAY, 0.2), 200_000),
        ] {
            let figure = chart.draw("many").unwrap();
            assert!(
                figure.bytes().len() < most,
                "{name}: {} bytes",
                figure.bytes().len()
            );
        }
    }

    #[test]
    fn the_largest_and_the_smallest_numbers_have_axes() {
        let max = 1.7e308;
        for y in [
            [max, -max],
            [f64::MAX, -f64::MAX],
            [f64::MAX, f64::MAX],
            [f64::MAX, 0.0],
            [5e-324, 0.0],
            [1e-300, 2e-300],
            [1e300, 1.000_000_01e300],
            [-f64::MAX, f64::INFINITY],
        ] {
            for scale in [Scale::Linear, Scale::Log] {
                for range in [None, Some((y[0].min(y[1]), y[0].max(y[1])))] {
                    let mut chart = Chart::new("x", "y")
                        .line("a", &[0.0, 1.0], &y, GRAY)
                        .points("b", &y, &y, GRAY, 2.0);
                    chart.y_scale = scale;
                    chart.y_range = range;
                    // Where there is nothing to draw, that is an error.
                    let Ok(figure) = chart.draw("extremes") else {
                        assert!(scale == Scale::Log || y[1].is_infinite(), "{y:?} {range:?}");
                        continue;
                    };
                    let text = figure.svg().unwrap_or_default();
                    assert!(
                        !text.contains("NaN") && !text.contains("inf"),
                        "{y:?} {scale:?}"
                    );
                }
            }
        }
        let figure = Chart::new("x", "y")
            .line("a", &[0.0, 1.0], &[max, -max], GRAY)
            .draw("")
            .unwrap();
        let text = figure.svg().unwrap();
        assert!(
            text.contains(">1e308<") && text.contains(">−1e308<") && text.contains(">0<"),
            "{text}"
        );
    }
}
