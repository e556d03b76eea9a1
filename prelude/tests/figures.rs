//! Figures are well-formed and small, and every value shows itself.

use itd_prelude::figure::Figure;
use itd_prelude::figure::{Chart, color};
use itd_prelude::likelihood::DensityMap;
use itd_prelude::pl::{Column, DataFrame, IntoColumn, NamedFrom, Series};
use itd_prelude::prelude::*;

/// Well-formed XML, of the size that it says, below 40 KB. With `FIGURES=folder` it is also written there.
fn check(name: &str, figure: &Figure) {
    let text = figure.svg().unwrap();
    assert!(text.len() < 40_000, "{name}: {} bytes", text.len());
    let document = roxmltree::Document::parse(text).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "svg");
    let size = |side| root.attribute(side).unwrap();
    let view = format!("0 0 {} {}", size("width"), size("height"));
    assert_eq!(root.attribute("viewBox"), Some(view.as_str()));
    assert_eq!(root.attribute("aria-label"), Some(figure.alt.as_str()));
    // Pixels in base64 may spell anything.
    let (pixels, drawn): (Vec<&str>, Vec<&str>) =
        text.split('"').partition(|part| part.starts_with("data:"));
    assert!(
        drawn
            .iter()
            .all(|part| !part.contains("NaN") && !part.contains("inf")),
        "{name}"
    );
    assert!(pixels.len() < 12, "{name}");
    if let Ok(folder) = std::env::var("FIGURES") {
        std::fs::write(format!("{folder}/{name}.svg"), text).unwrap();
    }
}

#[test]
fn plots_are_well_formed_and_small() {
    let raw = digits().unwrap();
    let noisy = raw.dequantize(0).unwrap();
    let gaussian = noisy.train.gaussian().unwrap();
    let points = Logistic::matched(&gaussian).unwrap();
    let points = points.quadrature(100).unwrap();
    let closed = gaussian.curve(&points).unwrap();
    let standard = Gaussian::standard(64).unwrap();
    let measured = standard.curve_on(&noisy.test, &points).unwrap();
    check(
        "curves",
        &plot_curves(&[("N(μ, Σ)", &closed), ("<N & \"I\">", &measured)]).unwrap(),
    );
    check(
        "spectrum",
        &plot_spectrum(&raw.train.gaussian().unwrap()).unwrap(),
    );
    let ring = toy::ring(4000, 0).unwrap().train;
    check("points", &plot_points(&ring).unwrap());
    check(
        "dino",
        &plot_points(&toy::dino(4000, 0).unwrap().train).unwrap(),
    );
    check(
        "moons",
        &plot_points(&toy::moons(4000, 0).unwrap().train).unwrap(),
    );
    let map = DensityMap::of(&MapConfig::default(), |x, y| {
        50.0 * (x.hypot(y) - 2f64.sqrt()).powi(2)
    });
    check(
        "density",
        &plot_density(&map.unwrap(), Some(&ring.take(600).unwrap())).unwrap(),
    );
    let fine = MapConfig {
        points: 41,
        refine: 3,
        ..Default::default()
    };
    let of = |r: f64| DensityMap::of(&fine, move |x, y| 50.0 * (x.hypot(y) - r).powi(2)).unwrap();
    check(
        "densities",
        &plot_densities(
            &[("truth", &of(1.4)), ("found", &of(1.3))],
            Some(&ring.take(300).unwrap()),
        )
        .unwrap(),
    );
    let points = Quadrature::trapezoid(-8.0, 10.0, 55).unwrap();
    let exact = gaussian.curve(&points).unwrap();
    let own = gaussian.denoiser(raw.shape()).unwrap();
    let own = mse_curve(&own, &noisy.test, &points).unwrap();
    let flat = Gaussian::standard(64).unwrap().curve(&points).unwrap();
    let three = [
        ("N(0, I)", &flat),
        ("in closed form", &exact),
        ("measured", &own),
    ];
    check("gap", &plot_gap(&three).unwrap());
    check("area", &plot_area(&three[1..]).unwrap());
    let six = raw.train.take(6).unwrap();
    let in_noise = channel::sweep(&six.x, &[0.0], 0).unwrap().z;
    let in_noise = Dataset::new("in noise", in_noise).unwrap();
    check(
        "strips",
        &plot_strips(&[("clean", &six), ("α = 0", &in_noise)], 6).unwrap(),
    );
    let edge = |x: f64| if x.abs() < 1.0 { 0.5 } else { 0.0 };
    check(
        "box",
        &plot_functions(
            "x",
            "density",
            -2.0..2.0,
            &[("box", &edge), ("0.3", &|_| 0.3)],
        )
        .unwrap(),
    );
    let x: Vec<f64> = (0..50).map(f64::from).collect();
    let y: Vec<f64> = x
        .iter()
        .map(|x| {
            if *x > 20.0 && *x < 25.0 {
                f64::NAN
            } else {
                x.sqrt()
            }
        })
        .collect();
    check(
        "broken",
        &Chart::new("x", "y")
            .line("√", &x, &y, color(2))
            .draw("a broken line")
            .unwrap(),
    );
}

/// The area that a figure names is that of the curves, and what cannot be an area is refused.
#[test]
fn the_areas_of_figures_are_nats_for_all_dimensions() {
    let points = Quadrature::trapezoid(-12.0, 12.0, 400).unwrap();
    let wide = Gaussian::standard(8).unwrap().curve(&points).unwrap();
    let narrow = Gaussian::diagonal(vec![0.0; 8], vec![0.25; 8]).unwrap();
    let narrow = narrow.curve(&points).unwrap();
    // ½·8·ln 4
    let gap = plot_gap(&[("wide", &wide), ("narrow", &narrow)]).unwrap();
    assert!(gap.alt.contains("narrow: 5.545 nats"), "{}", gap.alt);
    let other = Gaussian::standard(2).unwrap().curve(&points).unwrap();
    assert!(plot_gap(&[("wide", &wide)]).is_err());
    assert!(plot_gap(&[("wide", &wide), ("other", &other)]).is_err());
    assert!(plot_area(&[]).is_err());
}

#[test]
fn a_sample_of_digits_is_a_small_picture() {
    let figure = digits().unwrap().train.sample(8, 12, 0).unwrap();
    assert_eq!(figure.mime(), "image/png");
    assert!(figure.bytes().len() < 40_000, "{}", figure.bytes().len());
    if let Ok(folder) = std::env::var("FIGURES") {
        std::fs::write(format!("{folder}/digits.png"), figure.bytes()).unwrap();
    }
}

#[test]
fn a_figure_is_saved_in_one_move() {
    let figure = Chart::new("x", "y")
        .line("a", &[0.0, 1.0], &[0.0, 1.0], color(0))
        .draw("a")
        .unwrap();
    let path = std::env::temp_dir().join(format!("itd-figure-{}.svg", std::process::id()));
    let path = path.to_str().unwrap();
    std::fs::write(path, "before").unwrap();
    figure.save(path).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), figure.bytes());
    std::fs::remove_file(path).unwrap();
    let missing = "/no such folder/figure.svg";
    assert!(
        figure
            .save(missing)
            .unwrap_err()
            .to_string()
            .starts_with(missing)
    );
}

fn text(value: &dyn Show) -> String {
    value.bundle().unwrap()["text/plain"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn every_value_shows_itself() {
    let raw = digits().unwrap();
    assert!(text(&raw.train).contains("1437 samples of shape [1, 8, 8], 17 levels in [-1, 1]"));
    assert!(
        raw.test.bundle().unwrap()["text/html"]
            .as_str()
            .unwrap()
            .contains("data:image/png;base64,")
    );
    assert!(text(&raw).lines().count() == 2);
    let gaussian = raw.train.gaussian().unwrap();
    assert!(text(&gaussian).contains("dequantize"));
    assert!(gaussian.bundle().unwrap().contains_key("image/svg+xml"));
    let square = toy::uniform_square(100, 0).unwrap();
    assert!(
        square.train.bundle().unwrap()["text/html"]
            .as_str()
            .unwrap()
            .contains("<svg")
    );
    let tensor = square.train.x.narrow(0, 0, 2).unwrap();
    assert!(text(&tensor).contains("[2, 2]"));
    assert_eq!(text(&Markdown("*a*".into())), "*a*");
    assert!(
        Html("<b>a</b>".into())
            .bundle()
            .unwrap()
            .contains_key("text/html")
    );
    assert_eq!(
        Latex("x^2".into()).bundle().unwrap()["text/latex"],
        "$$x^2$$"
    );
    let estimate = Estimate::new(10.0, 0.5, 7).of_dim(2);
    assert_eq!(
        text(&estimate),
        "10.00 ± 0.50 nats = 7.213 ± 0.361 bits/dim (7 samples)"
    );
}

#[test]
fn a_table_is_cut_and_escaped() {
    let column =
        |i: i32| -> Column { Series::new(format!("c{i}").into(), vec![i; 30]).into_column() };
    let mut columns: Vec<Column> = (0..14).map(column).collect();
    columns[0] = Series::new("<name>".into(), vec!["a & b"; 30]).into_column();
    let frame = DataFrame::new(30, columns).unwrap();
    let html = frame.bundle().unwrap()["text/html"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        html.contains("&lt;name&gt;") && html.contains("a &amp; b") && !html.contains("<name>")
    );
    assert!(html.contains("10 more rows") && html.contains("2 more columns"));
    assert_eq!(html.matches("<tr>").count(), 21);
    let html = html.replace("<br>", "<br/>");
    roxmltree::Document::parse(&format!("<p>{html}</p>")).unwrap();
}

/// What a notebook shows of a value of many numbers is a few words.
#[test]
fn results_are_told_in_a_few_words() {
    use itd_prelude::bound::{asymptotic_steps, path_divergence};
    use itd_prelude::class_table::{ClassTable, wilson};
    use itd_prelude::curve::{Asked, Conditioning};
    use itd_prelude::distribution::ConditionalGaussian;
    use itd_prelude::information::{Cca, gap_curves, interactions_by};
    use itd_prelude::recommender::{Having, Interactions};
    use itd_prelude::{rng, task};

    let pairs = task::bivariate(0.8).unwrap().sample(500, 0).unwrap();
    let common = interactions_by(&Cca::default(), &[pairs.x.view(), pairs.y.view()]).unwrap();
    let joint = Gaussian::new(&[0.0, 0.0], &[[1.0, 0.8], [0.8, 1.0]]).unwrap();
    let samples = joint.sample(500, &mut rng::seeded(0)).unwrap();
    let y = Condition::vectors(&samples.narrow(1, 1, 1).unwrap()).unwrap();
    let x = Dataset::new("a pair", samples.narrow(1, 0, 1).unwrap()).unwrap();
    let data = x.given(y.clone()).unwrap();
    let best = ConditionalGaussian::new(&joint, 1).unwrap();
    let best = best.denoiser(&[1]).unwrap();
    let points = Quadrature::trapezoid(-9.0, 9.0, 60).unwrap();
    let [told, alone] = [Conditioning::Conditional, Conditioning::Unconditional];
    let config = CurveConfig::default();
    let gap = gap_curves(
        Asked(&best, told),
        Asked(&best, alone),
        &data,
        &points,
        &config,
    )
    .unwrap();
    let schedule = NoiseSchedule::linear(1000).unwrap();
    let normal = Gaussian::standard(1).unwrap();
    let net = UNet::new(&UNetConfig::small(), &[1, 8, 8], &device()).unwrap();
    let likes = Interactions::new(50, vec![vec![(1, true), (2, false)]; 400]).unwrap();
    let all: [(&str, Box<dyn Show>); 15] = [
        ("total correlation", Box::new(common)),
        (
            "500 pairs of samples, of 1 and 1 dimensions",
            Box::new(pairs),
        ),
        (
            "0.5108 nats in truth",
            Box::new(task::bivariate(0.8).unwrap()),
        ),
        ("orthogonal", Box::new(gap.clone())),
        ("nats", Box::new(gap.inner.area().unwrap())),
        ("vectors of length 1", Box::new(y)),
        (
            "60 points of log-SNR in [-9.000, 9.000], Trapezoid",
            Box::new(points),
        ),
        (
            "for 999 steps",
            Box::new(path_divergence(&normal, &schedule.snr()).unwrap()),
        ),
        (
            "for 100 steps",
            Box::new(asymptotic_steps(&normal, 100, (0.0, 1e4)).unwrap()),
        ),
        ("1000 steps, log-SNR from 9.210", Box::new(schedule)),
        ("for samples of shape [1, 8, 8]", Box::new(net)),
        ("400 users, 50 items, 400 likes (2.00 %", Box::new(likes)),
        (
            "400 users, 50 items, 800 chosen",
            Box::new(Having::new(50, vec![vec![1, 2]; 400]).unwrap()),
        ),
        ("0.300 [", Box::new(wilson(3, 10).unwrap())),
        (
            "in \\ out",
            Box::new(ClassTable::new(&[[3, 1], [0, 4]]).unwrap()),
        ),
    ];
    for (part, value) in all {
        let text = text(&*value);
        assert!(text.contains(part) && text.len() < 500, "{part}: {text}");
    }
}
