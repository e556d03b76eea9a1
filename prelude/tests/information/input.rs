//! What an adversary would give to the estimators.

use itd_prelude::Result;
use itd_prelude::information::{
    Base, Bound, Cca, Critic, Doe, DoeHead, Estimator, Information, Ksg, KsgAlgorithm, Masked,
    Minde, MindeForm, Mmg, Scale, StudentCopula, conditional_mi_by, interactions_by, mi,
};
use itd_prelude::ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use itd_prelude::prelude::{Device, Tensor};
use itd_prelude::rng::{self, Rng};
use rand::Rng as _;
use rand_distr::{Cauchy, Distribution, Exp1, Poisson};
use statrs::function::factorial::ln_factorial;

use crate::common::{normal, pairs, student};

/// All estimators; the networks learn for a moment only.
fn all() -> Vec<(String, Box<dyn Estimator>)> {
    let mut all: Vec<(String, Box<dyn Estimator>)> = vec![
        ("base".into(), Box::new(Base::default())),
        ("cca".into(), Box::new(Cca::default())),
        (
            "cca of ranks".into(),
            Box::new(Cca {
                corrected: false,
                ranks: true,
            }),
        ),
        ("student".into(), Box::new(StudentCopula::default())),
    ];
    for scale in [Scale::Ranks, Scale::Standard, Scale::AsIs] {
        for algorithm in [KsgAlgorithm::One, KsgAlgorithm::Two] {
            let neighbours = 3;
            let ksg = Ksg {
                neighbours,
                algorithm,
                scale,
            };
            all.push((format!("{ksg:?}"), Box::new(ksg)));
        }
    }
    let mut mmg = Mmg {
        width: Some(8),
        layers: 1,
        points: 12,
        ..Mmg::default()
    };
    mmg.train.steps = Some(20);
    all.push(("mmg".into(), Box::new(mmg)));
    for form in [
        MindeForm::Conditional,
        MindeForm::ConditionalSigma,
        MindeForm::Joint,
        MindeForm::JointSigma,
    ] {
        let minde = Minde {
            width: Some(8),
            layers: 1,
            steps: Some(20),
            points: 12,
            ..Minde::of(form)
        };
        all.push((format!("{form:?}"), Box::new(minde)));
    }
    for head in [DoeHead::Gaussian, DoeHead::Logistic] {
        let doe = Doe {
            head,
            hidden: vec![8],
            steps: 20,
            ..Doe::default()
        };
        all.push((format!("doe {head:?}"), Box::new(doe)));
    }
    for bound in [
        Bound::Mine,
        Bound::DonskerVaradhan,
        Bound::Nwj,
        Bound::InfoNce,
        Bound::InfoNceAnchor,
    ] {
        let critic = Critic {
            steps: 20,
            every: 10,
            batch: 32,
            learning_rate: 0.01,
            ..Critic::of(bound)
        };
        all.push((format!("{bound:?}"), Box::new(critic)));
    }
    all
}

fn by_name(name: &str) -> Box<dyn Estimator> {
    let mut all = all().into_iter();
    all.find(|(known, _)| known == name).unwrap().1
}

/// A value is a number with an error, whatever it is worth.
fn sound(what: &str, found: &Information) {
    assert!(found.nats.is_finite(), "{what}: {found}");
    assert!(found.std_err >= 0.0, "{what}: {found}");
    assert!(found.n > 0, "{what}: {found}");
    let each = found.per_sample.iter().flatten();
    assert!(each.clone().all(|value| value.is_finite()), "{what}");
    let named = found.diagnostics.iter();
    assert!(
        !named.clone().any(|one| one.1.is_nan()),
        "{what}: {found:?}"
    );
}

/// Each estimator, and the chain rule with the closed forms and with neighbours.
fn asked(x: ArrayView2<f64>, y: ArrayView2<f64>) -> Vec<(String, Result<Information>)> {
    some_asked(x, y, |_| true)
}

/// Those of all that are chosen by their place.
fn some_asked(
    x: ArrayView2<f64>,
    y: ArrayView2<f64>,
    chosen: impl Fn(usize) -> bool,
) -> Vec<(String, Result<Information>)> {
    let z = normal(x.nrows(), 1, &mut rng::seeded(99));
    let mut masked = Masked::default();
    (masked.net.width, masked.net.layers, masked.points) = (8, 1, 12);
    masked.train.steps = Some(10);
    let (base, ksg, z) = (Base::default(), Ksg::default(), z.view());
    let total =
        |one: &dyn Estimator| interactions_by(one, &[x, y]).map(|all| all.total_correlation);
    type Ask<'a> = Box<dyn Fn() -> Result<Information> + 'a>;
    let more: [(&str, Ask); 7] = [
        (
            "base, given another",
            Box::new(|| conditional_mi_by(&base, x, y, z)),
        ),
        ("base, total correlation", Box::new(|| total(&base))),
        (
            "KSG, given another",
            Box::new(|| conditional_mi_by(&ksg, x, y, z)),
        ),
        ("KSG, total correlation", Box::new(|| total(&ksg))),
        ("KSG, conditional", Box::new(|| ksg.conditional(x, y, z))),
        (
            "masked, given another",
            Box::new(|| masked.conditional(x, y, z)),
        ),
        (
            "masked, O-information",
            Box::new(|| {
                let all = masked.interactions(&[x, y])?;
                Ok(all.o_information)
            }),
        ),
    ];
    let all: Vec<(String, Ask)> = all()
        .into_iter()
        .map(|(name, one)| -> (String, Ask) { (name, Box::new(move || one.information(x, y))) })
        .chain(more.map(|(name, ask)| (name.to_owned(), ask)))
        .collect();
    let chosen = all
        .into_iter()
        .enumerate()
        .filter(|(place, _)| chosen(*place));
    chosen.map(|(_, (name, ask))| (name, ask())).collect()
}

fn side(columns: &[&Array2<f64>]) -> Array2<f64> {
    let views: Vec<ArrayView2<f64>> = columns.iter().map(|one| one.view()).collect();
    concatenate(Axis(1), &views).unwrap()
}

fn refused(name: &str, x: &Array2<f64>, y: &Array2<f64>, need: &str) {
    for (who, found) in asked(x.view(), y.view()) {
        let error = found.err();
        let told = error.map_or("a value".to_owned(), |error| error.to_string());
        assert!(told.contains(need), "{name}, {who}: {told}");
    }
}

#[test]
fn what_is_no_sample_is_refused_by_all() {
    let rng = &mut rng::seeded(0);
    let (x, y) = (normal(200, 2, rng), normal(200, 2, rng));
    let with = |at: (usize, usize), value: f64| {
        let mut bad = x.clone();
        bad[at] = value;
        bad
    };
    refused(
        "NaN",
        &with((7, 1), f64::NAN),
        &y,
        "x is NaN in row 7, column 1",
    );
    refused(
        "∞",
        &y,
        &with((3, 0), f64::INFINITY),
        "y is inf in row 3, column 0",
    );
    refused(
        "−∞",
        &with((0, 0), f64::NEG_INFINITY),
        &y,
        "x is -inf in row 0",
    );
    refused("too large", &with((0, 0), 1e200), &y, "below 1e150");
    let constant = Array2::from_elem((200, 1), 0.1);
    refused("constant", &constant, &y, "x does not vary in column 0");
    let among = side(&[&x, &constant]);
    refused(
        "a constant among others",
        &y,
        &among,
        "y does not vary in column 2",
    );
    refused(
        "no column",
        &x.slice(s![.., ..0]).to_owned(),
        &y,
        "without columns",
    );
    for n in 0..4 {
        let few = |all: &Array2<f64>| all.slice(s![..n, ..]).to_owned();
        refused("few", &few(&x), &few(&y), "n at least");
    }
    let (long, short) = (
        x.slice(s![.., ..]).to_owned(),
        y.slice(s![..199, ..]).to_owned(),
    );
    for (name, one) in all() {
        let told = one
            .information(long.view(), short.view())
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("200") && told.contains("199"),
            "{name}: {told}"
        );
    }
}

/// Without noise between the two there is no number of nats; who gives one says so.
#[test]
fn infinite_information_is_told() {
    let rng = &mut rng::seeded(1);
    let (x, other) = (normal(200, 3, rng), normal(200, 3, rng));
    let column = |j: usize| x.slice(s![.., j..j + 1]).to_owned();
    let turned = x.slice(s![.., ..;-1]).to_owned();
    let tails = x.mapv(|x| (8.0 * x).sinh());
    let in_common = side(&[&column(0).mapv(f64::exp), &other]);
    let cases = [
        ("itself", x.clone()),
        ("its opposite", -&x),
        ("columns in another order", turned),
        ("a monotone map", x.mapv(|x| x.powi(3))),
        ("long tails", tails),
        ("one column of several", in_common),
    ];
    for (name, y) in cases {
        for (who, found) in asked(x.view(), y.view()) {
            match found {
                Ok(found) => {
                    sound(&who, &found);
                    let told = found.warnings.iter().any(|one| one.contains("infinite"));
                    assert!(told, "{name}, {who}: {found}");
                }
                Err(error) => {
                    let told = error.to_string();
                    let known = told.contains("without noise") || told.contains("eigenvalues");
                    assert!(known, "{name}, {who}: {told}");
                }
            }
        }
    }
    // Linear combinations.
    let y = side(&[&(&column(0) + &column(1)), &other]);
    for (who, found) in asked(x.view(), y.view()) {
        let neighbours = who.starts_with("K");
        match found {
            Ok(found) => {
                sound(&who, &found);
                let told = found.warnings.iter().any(|one| one.contains("infinite"));
                assert!(told || neighbours, "{who}: {found}");
            }
            Err(error) => {
                let told = error.to_string();
                assert!(
                    told.contains("without noise") || told.contains("eigenvalues"),
                    "{who}: {told}"
                );
            }
        }
    }
}

/// Whatever is odd but has an answer: a sound number from each, or an error that says what to do. Each case is given to a
/// fourth of the estimators, and with `ITD_ODD_TO_ALL=1` to all.
#[test]
fn odd_samples_give_a_number_or_a_reason() {
    let rng = &mut rng::seeded(2);
    let n = 200;
    let case = pairs(n, 2, 1, 0.8, 3);
    let cauchy = Cauchy::new(0.0, 1.0).unwrap();
    let tails =
        |rng: &mut Rng| Array2::from_shape_simple_fn((n, 2), || -> f64 { cauchy.sample(rng) });
    let atoms = |rng: &mut Rng| {
        Array2::from_shape_simple_fn((n, 2), || {
            let value: f64 = Exp1.sample(rng);
            if rng.random::<f64>() < 0.8 {
                0.0
            } else {
                value
            }
        })
    };
    let classes = |k: i32, rng: &mut Rng| {
        Array2::from_shape_simple_fn((n, 1), || f64::from(rng.random_range(0..k)))
    };
    let mut single = Array2::zeros((n, 1));
    single[(5, 0)] = 1.0;
    let near = &case.x + &(1e-9 * &case.y);
    let cases = [
        ("tails", tails(rng), tails(rng)),
        (
            "long tails",
            tails(rng).mapv(|x| x.powi(9)),
            tails(rng).mapv(|x| x.powi(9)),
        ),
        (
            "double exponential",
            case.x.mapv(|x| (30.0 * x).sinh()),
            case.y.mapv(|x| (30.0 * x).sinh()),
        ),
        ("large", 1e30 * &case.x, 1e-30 * &case.y),
        ("far from 0", &case.x + 1e6, &case.y - 1e9),
        ("atoms", atoms(rng), atoms(rng)),
        ("classes", classes(2, rng), classes(7, rng)),
        ("a class and a vector", classes(2, rng), case.y.clone()),
        ("one sample of a class", single.clone(), case.y.clone()),
        ("one sample of both", single.clone(), single),
        (
            "rounded",
            case.x.mapv(f64::round),
            case.y.mapv(|x| (3.0 * x).round()),
        ),
        ("nearly a sum", side(&[&case.x, &near]), case.y.clone()),
        ("sums", side(&[&case.x, &(&case.x + 1.0)]), case.y.clone()),
        (
            "maps of one another",
            side(&[&case.x, &case.x.mapv(f64::exp)]),
            case.y.clone(),
        ),
        (
            "more dimensions than samples",
            normal(60, 150, rng),
            normal(60, 50, rng),
        ),
        (
            "as many dimensions as samples",
            normal(60, 30, rng),
            normal(60, 30, rng),
        ),
    ];
    let to_all = std::env::var_os("ITD_ODD_TO_ALL").is_some();
    for (turn, (name, x, y)) in cases.into_iter().enumerate() {
        let chosen = |place: usize| to_all || place % 4 == turn % 4;
        for (who, found) in some_asked(x.view(), y.view(), chosen) {
            match found {
                Ok(found) => sound(&format!("{name}, {who}"), &found),
                Err(error) => {
                    let told = error.to_string();
                    println!("{name}, {who}: {told}");
                    assert!(
                        told.contains(';') || told.contains("give more"),
                        "{name}, {who}: {told}"
                    );
                }
            }
        }
    }
}

/// A pair of samples of one number each, drawn one by one.
fn drawn(n: usize, seed: u64, mut draw: impl FnMut(&mut Rng) -> (f64, f64)) -> [Array2<f64>; 2] {
    let rng = &mut rng::seeded(seed);
    let all: Vec<(f64, f64)> = (0..n).map(|_| draw(rng)).collect();
    [0, 1].map(|side| {
        Array2::from_shape_fn((n, 1), |(i, _)| match side {
            0 => all[i].0,
            _ => all[i].1,
        })
    })
}

/// Classes, counts, and what is both a class and a number: neighbours know them, and the closed forms leave it to those.
#[test]
fn what_repeats_has_its_information() {
    let n = 1500;
    let channel = drawn(n, 0, |rng| {
        let x = rng.random::<bool>();
        (
            f64::from(u8::from(x)),
            f64::from(u8::from(x ^ (rng.random::<f64>() < 0.1))),
        )
    });
    let copies = drawn(n, 1, |rng| {
        let x = f64::from(rng.random_range(0..5));
        (x, x.exp())
    });
    let (two, four) = (Poisson::new(2.0).unwrap(), Poisson::new(4.0).unwrap());
    let sums = drawn(n, 2, |rng| {
        let x: f64 = two.sample(rng);
        (x, x + two.sample(rng))
    });
    let apart = drawn(n, 3, |rng| (four.sample(rng), two.sample(rng)));
    let uniform = drawn(n, 4, |rng| {
        let x = rng.random_range(0..5);
        (f64::from(x), f64::from(x) + 2.0 * rng.random::<f64>())
    });
    let inflated = drawn(n, 5, |rng| {
        let x: f64 = Exp1.sample(rng);
        let count = Poisson::new(x).map_or(0.0, |one| one.sample(rng));
        (
            x,
            if rng.random::<f64>() < 0.15 {
                0.0
            } else {
                count
            },
        )
    });
    let rounded = drawn(n, 6, |rng| {
        let x = rng.random_range(0..40);
        (
            0.1 * f64::from(x),
            0.1 * f64::from((x + rng.random_range(0..4)) % 40),
        )
    });
    let entropy = |p: f64| -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
    let log_poisson = |mean: f64, k: u64| k as f64 * mean.ln() - mean - ln_factorial(k);
    let of_sums: f64 = (0..40)
        .flat_map(|x| (0..40).map(move |z| (x, z)))
        .map(|(x, z)| {
            let both = (log_poisson(2.0, x) + log_poisson(2.0, z)).exp();
            both * (log_poisson(2.0, z) - log_poisson(4.0, x + z))
        })
        .sum();
    // Given the counts x is a Gamma variable; as in the source of the rule for ties.
    let halves: f64 = (1..60).map(|k| f64::from(k).ln() * 0.5f64.powi(k)).sum();
    let of_inflated = 0.85 * (2.0 * 2f64.ln() - 0.577_215_664_901_532_9 - halves);
    let cases = [
        ("a noisy bit", channel, 2f64.ln() - entropy(0.1)),
        ("a class and a map of it", copies, 5f64.ln()),
        ("counts", sums, of_sums),
        ("counts that are apart", apart, 0.0),
        ("a class and a number", uniform, 5f64.ln() - 0.8 * 2f64.ln()),
        (
            "a number and a count with more zeros",
            inflated,
            of_inflated,
        ),
        ("steps", rounded, 10f64.ln()),
    ];
    for (name, [x, y], truth) in cases {
        let near = |who: &str, found: Information, slack: f64| {
            println!("{name}, {who}: {found}, in truth {truth:.4}");
            let off = (found.nats - truth).abs();
            assert!(
                off < 4.0 * found.std_err + slack,
                "{name}, {who}: {found} {truth}"
            );
        };
        for algorithm in [KsgAlgorithm::One, KsgAlgorithm::Two] {
            let ksg = Ksg {
                algorithm,
                ..Ksg::default()
            };
            let who = format!("{algorithm:?}");
            near(&who, ksg.information(x.view(), y.view()).unwrap(), 0.03);
        }
        near("base", mi(&x, &y).unwrap(), 0.04);
        near("base, exchanged", mi(&y, &x).unwrap(), 0.04);
        let kinds = itd_prelude::information::classes(x.column(0));
        if let Ok(kinds) = kinds {
            near(
                "classes",
                Ksg::default().with_classes(y.view(), &kinds).unwrap(),
                0.03,
            );
        }
    }
}

/// Of groups of fewer samples than the neighbours that are asked, no more is found than there is.
#[test]
fn small_groups_have_no_more_than_their_number_tells() {
    for (n, groups, tight) in [
        (1000, 100, false),
        (1000, 60, true),
        (300, 20, true),
        (60, 10, false),
    ] {
        let [x, y] = drawn(n, 8, |rng| {
            let group = rng.random_range(0..groups);
            let centre = f64::from(group * 37 % groups);
            let noise = |rng: &mut Rng| 1e-3 * rng.random::<f64>();
            let x = f64::from(group) + if tight { noise(rng) } else { 0.0 };
            (x, centre + noise(rng))
        });
        let most = f64::from(groups).ln();
        for (x, y) in [(&x, &y), (&y, &x)] {
            let found = mi(x, y).unwrap();
            println!("{n} of {groups} groups: {found} of at most {most:.3}");
            assert!(found.nats < most + 0.3, "{n} {groups}: {found}, {most}");
            let off = (found.nats - most).abs();
            assert!(
                off < 2.0 * found.std_err + 0.1,
                "{n} {groups}: {found}, {most}"
            );
        }
    }
}

/// A monotone function of a column tells nothing more, whether few values repeat, many, or none.
#[test]
fn a_function_of_a_column_with_ties_changes_nothing() {
    for digits in [3e4, 1e3, 1e1] {
        let [x, y] = drawn(500, 9, |rng| {
            let x: f64 = rng.sample(rand_distr::StandardNormal);
            let y = x + rng.sample::<f64, _>(rand_distr::StandardNormal);
            (((0.5 * x).exp() * digits).round() / digits, y)
        });
        let alone = mi(&x, &y).unwrap();
        let both = side(&[&x, &x.mapv(|x| (x + 0.5).ln())]);
        let found = mi(&both, &y).unwrap();
        println!("{digits}: {alone} alone, {found} with the logarithm");
        assert_eq!(found.nats, alone.nats, "{digits}");
        let told = found.warnings.join("\n");
        assert!(told.contains("1 columns are made of others"), "{told}");
        // The same for what has a function of the other.
        let refused = mi(&x, &both.slice(s![.., 1..]).to_owned());
        match digits > 1e4 {
            true => assert!(refused.unwrap_err().to_string().contains("without noise")),
            false => assert!(refused.unwrap().nats > 2.0),
        }
    }
}

/// So strong a dependence leaves few samples in one order; that is no function.
#[test]
fn few_samples_in_the_same_order_are_no_function() {
    let mut same = 0;
    for seed in 0..12 {
        let [x, y] = drawn(50, seed, |rng| {
            let x: f64 = rng.sample(rand_distr::StandardNormal);
            (
                x,
                x + 1e-3 * rng.sample::<f64, _>(rand_distr::StandardNormal),
            )
        });
        let truth = 0.5 * (1.0f64 + 1e6).ln();
        for (x, y) in [(&x, &y), (&y, &x)] {
            let found = mi(x, y).unwrap();
            let off = (found.nats - truth).abs();
            assert!(off < 4.0 * found.std_err + 0.5, "{seed}: {found} {truth}");
        }
        let places = |x: &Array2<f64>| {
            let mut order: Vec<usize> = (0..50).collect();
            order.sort_by(|&i, &j| x[(i, 0)].total_cmp(&x[(j, 0)]));
            order
        };
        same += usize::from(places(&x) == places(&y));
        let function = mi(&x, &x.mapv(f64::exp)).unwrap_err().to_string();
        assert!(function.contains("without noise"), "{function}");
    }
    assert!(same > 2, "{same} of 12 had the same order");
}

/// No injective map of a vector alone changes its information, nor does what it says twice.
#[test]
fn the_same_vector_in_other_words() {
    let (n, d) = (400, 2);
    let laws = [
        ("normal", pairs(n, d, 1, 0.8, 4)),
        ("long tails", student(n, d, 2.0, 15)),
    ];
    let two = |x: &Array2<f64>, f: &dyn Fn(f64, f64) -> [f64; 2]| {
        Array2::from_shape_fn((n, 2), |(i, j)| f(x[(i, 0)], x[(i, 1)])[j])
    };
    let more = |x: &Array2<f64>, f: &dyn Fn(f64, f64) -> f64| {
        let own = Array2::from_shape_fn((n, 1), |(i, _)| f(x[(i, 0)], x[(i, 1)]));
        side(&[x, &own])
    };
    type Map<'a> = &'a dyn Fn(&Array2<f64>) -> Array2<f64>;
    let maps: [(&str, Map); 12] = [
        ("order", &|x| two(x, &|a, b| [b, a])),
        ("units", &|x| two(x, &|a, b| [1e30 * a, -1e-30 * b])),
        ("far from 0", &|x| two(x, &|a, b| [a + 1e7, b - 1e3])),
        ("rotation", &|x| {
            two(x, &|a, b| [0.8 * a - 0.6 * b, 0.6 * a + 0.8 * b])
        }),
        ("shear", &|x| two(x, &|a, b| [a, b + 3.0 * a])),
        ("nearly one", &|x| two(x, &|a, b| [a, a + 1e-8 * b])),
        ("monotone", &|x| two(x, &|a, b| [a.sinh(), b.atan()])),
        ("twice", &|x| more(x, &|a, _| a)),
        ("a multiple", &|x| more(x, &|a, _| 1e-3 * a - 3.0)),
        ("a sum", &|x| more(x, &|a, b| a - 2.0 * b)),
        ("a map of one", &|x| more(x, &|a, _| a.exp())),
        ("nearly a multiple", &|x| more(x, &|a, _| (1e-3 * a).atan())),
    ];
    for (law, case) in laws {
        let plain = mi(&case.x, &case.y).unwrap();
        for (i, (name, map)) in maps.into_iter().enumerate() {
            let x = map(&case.x);
            let found = match i % 2 {
                0 => mi(&x, &case.y),
                _ => mi(&case.y, &x),
            }
            .unwrap();
            sound(name, &found);
            println!("{law}, {name}: {found}, else {plain}");
            let off = (found.nats - plain.nats).abs();
            assert!(
                off < 0.02 && off < plain.std_err,
                "{law}, {name}: {found}, else {plain}"
            );
        }
    }
}

/// What is nearly twice there may tell all.
#[test]
fn small_differences_tell() {
    let n = 1000;
    let case = pairs(n, 2, 1, 0.8, 4);
    let first = case.x.slice(s![.., 0..1]).to_owned();
    let noise = normal(n, 1, &mut rng::seeded(5));
    for small in [1e-3, 1e-6, 1e-9] {
        let x = side(&[&noise, &(&noise + &(small * &first))]);
        let y = case.y.slice(s![.., 0..1]);
        let found = mi(&x, &y).unwrap();
        let off = (found.nats - case.nats).abs();
        assert!(
            off < 4.0 * found.std_err + 0.02,
            "{small}: {found} {}",
            case.nats
        );
    }
}

/// Tails that come together, and are made longer.
#[test]
fn longer_tails_change_nothing() {
    let n = 1000;
    let heavy = student(n, 2, 1.0, 6);
    for power in [1, 3, 9] {
        let long = |x: &Array2<f64>| x.mapv(|x| x.abs().powi(power).copysign(x));
        let found = mi(&long(&heavy.x), &long(&heavy.y)).unwrap();
        let off = (found.nats - heavy.nats).abs();
        assert!(
            off < 4.0 * found.std_err + 0.02,
            "{power}: {found} {}",
            heavy.nats
        );
    }
}

/// However a tensor holds its numbers.
#[test]
fn tensors_of_any_kind_are_read() {
    let case = pairs(300, 2, 1, 0.8, 7);
    let values = |x: &Array2<f64>| x.iter().copied().collect::<Vec<f64>>();
    let tensor = |x: &Array2<f64>| Tensor::from_vec(values(x), x.dim(), &Device::Cpu).unwrap();
    let (x, y) = (tensor(&case.x), tensor(&case.y));
    let plain = mi(&x, &y).unwrap().nats;
    assert_eq!(mi(&case.x, &case.y).unwrap().nats, plain);
    // A view of a transposed tensor, and of a part of a wider one.
    let turned = x.t().unwrap().contiguous().unwrap().t().unwrap();
    let wide = Tensor::cat(&[&y, &x, &y], 1).unwrap();
    let part = wide.narrow(1, 2, 2).unwrap();
    for view in [turned, part] {
        assert!(!view.is_contiguous());
        assert_eq!(mi(&view, &y).unwrap().nats, plain);
    }
    let ordered = case.x.t().to_owned();
    assert_eq!(mi(&ordered.t(), &y).unwrap().nats, plain);
    let single = x.to_dtype(itd_prelude::candle::DType::F32).unwrap();
    assert!((mi(&single, &y).unwrap().nats - plain).abs() < 1e-3);
    let whole = (&x * 10.0)
        .unwrap()
        .to_dtype(itd_prelude::candle::DType::I64)
        .unwrap();
    assert!(mi(&whole, &y).unwrap().nats.is_finite());
    let pictures = x.reshape((300, 1, 2)).unwrap();
    assert_eq!(mi(&pictures, &y).unwrap().nats, plain);
    for bad in [
        x.narrow(0, 0, 0).unwrap(),
        x.narrow(1, 0, 0).unwrap(),
        Tensor::new(1.0, &Device::Cpu).unwrap(),
    ] {
        assert!(mi(&bad, &y).is_err());
    }
}

#[test]
fn many_dimensions_are_no_information() {
    let rng = &mut rng::seeded(8);
    let (x, y) = (normal(800, 100, rng), normal(800, 100, rng));
    for name in ["base", "cca"] {
        let found = by_name(name).information(x.view(), y.view()).unwrap();
        sound(name, &found);
        assert!(
            found.nats.abs() < 4.0 * found.std_err + 0.1,
            "{name}: {found}"
        );
    }
}

#[test]
fn classes_of_any_kind() {
    let rng = &mut rng::seeded(9);
    let x = normal(60, 2, rng);
    let ksg = Ksg::default();
    let told = |class: &[u32]| ksg.with_classes(x.view(), class);
    for bad in [vec![3; 60], (0..60).collect(), vec![0; 59], vec![]] {
        let error = told(&bad).unwrap_err().to_string();
        assert!(error.contains("class"), "{bad:?}: {error}");
    }
    // Not from 0, and one of them once.
    let mut class: Vec<u32> = (0..60).map(|i| [7, 4_000_000_000][i % 2]).collect();
    class[9] = 11;
    let found = told(&class).unwrap();
    sound("classes", &found);
    assert!(
        found
            .warnings
            .iter()
            .any(|one| one.contains("one sample only")),
        "{found}"
    );
    let labels = |values: &[f64]| itd_prelude::information::classes(values.into());
    assert!(labels(&[1.0, f64::INFINITY]).is_err() && labels(&[f64::NAN]).is_err());
    assert_eq!(labels(&[0.0, -0.0, -3.5]).unwrap(), [1, 1, 0]);
    let entropy = ksg.entropy(Array2::from_elem((60, 1), 2.0).view());
    assert!(entropy.unwrap_err().to_string().contains("does not vary"));
    for scale in [1e-100, 1e100] {
        let found = ksg.entropy((scale * &x).view()).unwrap();
        let plain = ksg.entropy(x.view()).unwrap();
        let moved = found.nats - plain.nats - 2.0 * f64::ln(scale);
        assert!(moved.abs() < 1e-9, "{scale}: {moved}");
    }
}
