//! Variational bounds, where the truth is known.

use itd_prelude::Error;
use itd_prelude::information::{Bound, Critic, Estimator, Information};
use itd_prelude::task::{self, Benchmark};

const ALL: [Bound; 5] = [
    Bound::Mine,
    Bound::DonskerVaradhan,
    Bound::Nwj,
    Bound::InfoNce,
    Bound::InfoNceAnchor,
];

fn found(critic: &Critic, task: &Benchmark, n: usize) -> Information {
    let pairs = task.sample(n, 0).unwrap();
    critic.information(pairs.x.view(), pairs.y.view()).unwrap()
}

/// Smaller batches and fewer comparisons than published, to be quick.
fn quick(bound: Bound) -> Critic {
    Critic {
        batch: 64,
        learning_rate: 0.02,
        steps: 600,
        compared: 500,
        ..Critic::of(bound)
    }
}

#[test]
fn a_binormal_pair_is_found_by_each() {
    let task = task::bivariate(0.75).unwrap();
    for bound in ALL {
        // As published, but for the comparisons.
        let critic = Critic {
            steps: 600,
            compared: 500,
            ..Critic::of(bound)
        };
        let found = found(&critic, &task, 5000);
        let off = found.nats - task.nats;
        assert!(off.abs() < 0.05, "{bound:?}: {found} {}", task.nats);
        assert!(found.std_err > 0.005 && found.std_err < 0.05, "{found}");
        if bound != Bound::InfoNceAnchor {
            assert!(off < 4.0 * found.std_err, "{bound:?}: {found}");
        }
        assert_eq!(found.n, 2500);
        let (steps, best) = (found.diagnostic("steps"), found.diagnostic("best step"));
        assert!(best <= steps && steps <= Some(600.0), "{found:?}");
    }
}

#[test]
fn what_is_independent_tells_nothing() {
    for dims in [(1, 1), (3, 2)] {
        let task = task::independent(dims).unwrap();
        for bound in ALL {
            let found = found(&quick(bound), &task, 5000);
            assert!(found.nats.abs() < 0.03, "{bound:?} {dims:?}: {found}");
        }
    }
}

/// On samples that the critic was not trained on, a bound from below is not above.
#[test]
fn held_out_bounds_are_below_the_truth() {
    let tasks = [
        task::bivariate(0.95).unwrap(),
        task::sparse((3, 3), 2, 2.0).unwrap(),
        task::student((1, 1), 1.0).unwrap(),
    ];
    for task in tasks {
        for bound in &ALL[..4] {
            let found = found(&quick(*bound), &task, 4000);
            let above = found.nats - task.nats;
            assert!(
                above < 4.0 * found.std_err,
                "{}: {found} {}",
                task.name,
                task.nats
            );
        }
    }
}

#[test]
fn the_cap_of_infonce_is_told() {
    let strong = task::bivariate(0.9999).unwrap();
    let critic = Critic {
        compared: 20,
        ..quick(Bound::InfoNce)
    };
    let found = found(&critic, &strong, 2000);
    let cap = 20f64.ln();
    assert_eq!(found.diagnostic("cap"), Some(cap));
    assert!(found.nats <= cap && strong.nats > cap, "{found}");
    let told = found
        .warnings
        .iter()
        .any(|text| text.contains("cannot be above 3.00 nats"));
    assert!(told, "{found}");
    // The anchor knows no cap.
    let anchored = Critic {
        bound: Bound::InfoNceAnchor,
        ..critic
    };
    let pairs = strong.sample(2000, 0).unwrap();
    let found = anchored
        .information(pairs.x.view(), pairs.y.view())
        .unwrap();
    assert_eq!(found.diagnostic("cap"), None);
    assert!(found.nats > cap, "{found}");
}

#[test]
fn the_same_seed_gives_the_same_value() {
    let task = task::bivariate(0.5).unwrap();
    for bound in [Bound::Mine, Bound::InfoNce] {
        let critic = Critic {
            steps: 100,
            every: 50,
            ..quick(bound)
        };
        let value = |critic: &Critic| found(critic, &task, 500).nats;
        assert_eq!(value(&critic), value(&critic));
        let other = Critic {
            seed: 1,
            ..critic.clone()
        };
        assert_ne!(value(&critic), value(&other));
    }
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let pairs = task::bivariate(0.5).unwrap().sample(60, 0).unwrap();
    let usual = Critic::default;
    #[rustfmt::skip]
    let bad = [
        (Critic { hidden: vec![], ..usual() }, "hidden"),
        (Critic { hidden: vec![16, 0], ..usual() }, "hidden"),
        (Critic { learning_rate: f64::NAN, ..usual() }, "learning_rate"),
        (Critic { learning_rate: 0.0, ..usual() }, "learning_rate"),
        (Critic { batch: 1, ..usual() }, "batch"),
        (Critic { steps: 0, ..usual() }, "steps"),
        (Critic { every: 0, ..usual() }, "every"),
        (Critic { patience: 0, ..usual() }, "patience"),
        (Critic { held_out: f64::NAN, ..usual() }, "held_out"),
        (Critic { held_out: 0.01, ..usual() }, "held_out"),
        (Critic { held_out: 1.0, ..usual() }, "held_out"),
        (Critic { compared: 1, ..usual() }, "compared"),
        (Critic { smoothing: 1.0, ..usual() }, "smoothing"),
        (Critic { smoothing: f64::NAN, ..usual() }, "smoothing"),
    ];
    for (critic, name) in bad {
        let error = critic.information(pairs.x.view(), pairs.y.view());
        let error = error.unwrap_err();
        let right = matches!(&error, Error::Parameter { name: found, .. } if *found == name);
        assert!(right, "{name}: {error}");
    }
    let few = task::bivariate(0.5).unwrap().sample(49, 0).unwrap();
    let error = usual().information(few.x.view(), few.y.view()).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{error}");
}

/// With a step far too large nothing panics: there is a value with a warning, or an error that says what to do.
#[test]
fn training_that_diverges_says_so() {
    let task = task::bivariate(0.9).unwrap();
    for bound in ALL {
        let critic = Critic {
            learning_rate: 1e6,
            ..quick(bound)
        };
        let pairs = task.sample(500, 0).unwrap();
        match critic.information(pairs.x.view(), pairs.y.view()) {
            Ok(found) => assert!(found.nats.is_finite(), "{bound:?} {found}"),
            Err(error) => assert!(
                matches!(error, Error::Diverged { .. } | Error::NotFinite { .. }),
                "{bound:?} {error}"
            ),
        }
    }
}
