//! MINDE and the difference of entropies, on normal vectors.

use itd_prelude::information::{Doe, DoeHead, Estimator, Minde, MindeForm};
use itd_prelude::prelude::*;
use itd_prelude::task::{self, Pairs};

/// All four forms, with a part of the published training.
#[test]
fn each_form_of_minde_finds_a_normal_pair() {
    let task = task::sparse((2, 2), 2, 2.0).unwrap();
    let Pairs { x, y } = task.sample(4000, 0).unwrap();
    for form in [
        MindeForm::Conditional,
        MindeForm::ConditionalSigma,
        MindeForm::Joint,
        MindeForm::JointSigma,
    ] {
        let minde = Minde {
            steps: Some(3000),
            ..Minde::of(form)
        };
        let found = minde.information(x.view(), y.view()).unwrap();
        println!("{}: {found}, in truth {:.4}", minde.name(), task.nats);
        assert!((found.nats - task.nats).abs() < 0.1, "{form:?}: {found}");
        assert!(found.per_sample.is_some_and(|values| values.len() == 4000));
    }
    let none = task::independent((2, 2)).unwrap().sample(4000, 0).unwrap();
    let minde = Minde {
        steps: Some(2000),
        ..Minde::default()
    };
    let found = minde.information(none.x.view(), none.y.view()).unwrap();
    assert!(found.nats < 0.1, "{found}");
}

/// Its diffusion ends at a log-SNR of 9.1: what is finer it does not see.
#[test]
fn minde_cannot_see_more_than_its_diffusion() {
    let points = Quadrature::trapezoid(-10.05, 9.1, 2001).unwrap();
    let left = 1.0 - (1.0f64 - 1.0 / (1.0 + 4.0e6)).powi(2); // two pairs of 14.5 nats
    let curve = |variance: f64| {
        Gaussian::new(&[0.0], &[[variance]])
            .unwrap()
            .curve(&points)
            .unwrap()
    };
    let gap = curve(1.0).minus(&curve(left)).unwrap().area().unwrap().nats;
    assert!((2.0 * gap - 9.096).abs() < 2e-3, "{gap}");
}

/// Gaussian vectors are what its first head fits.
#[test]
fn the_difference_of_entropies_is_right_for_normal_pairs() {
    let task = task::bivariate(0.75).unwrap();
    let Pairs { x, y } = task.sample(6000, 0).unwrap();
    let quick = |head| Doe {
        head,
        steps: 1500,
        learning_rate: 2e-3,
        ..Doe::default()
    };
    for head in [DoeHead::Gaussian, DoeHead::Logistic] {
        let doe = quick(head);
        let found = doe.information(x.view(), y.view()).unwrap();
        println!("{}: {found}, in truth {:.4}", doe.name(), task.nats);
        assert!(
            (found.nats - task.nats).abs() < 4.0 * found.std_err,
            "{head:?}: {found}"
        );
        assert_eq!(found.n, 3000);
    }
    // As published it is nearly there.
    let found = Doe::default().information(x.view(), y.view()).unwrap();
    println!("as published: {found}");
    assert!((found.nats - task.nats).abs() < 0.1, "{found}");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let x = task::bivariate(0.5).unwrap().sample(60, 0).unwrap().x;
    let refused =
        |one: &dyn Estimator| one.information(x.view(), x.view()).unwrap_err().to_string();
    let minde = Minde::default;
    assert!(
        refused(&Minde {
            steps: Some(0),
            ..minde()
        })
        .contains("steps")
    );
    assert!(
        refused(&Minde {
            folds: 0,
            ..minde()
        })
        .contains("folds")
    );
    assert!(
        refused(&Minde {
            points: 1,
            ..minde()
        })
        .contains("points")
    );
    let doe = Doe::default;
    assert!(
        refused(&Doe {
            hidden: vec![],
            ..doe()
        })
        .contains("hidden")
    );
    assert!(
        refused(&Doe {
            held_out: f64::NAN,
            ..doe()
        })
        .contains("held_out")
    );
    assert!(
        refused(&Doe {
            held_out: 0.01,
            ..doe()
        })
        .contains("two samples")
    );
    assert!(
        refused(&Doe {
            learning_rate: f64::NAN,
            ..doe()
        })
        .contains("learning_rate")
    );
    let constant = itd_prelude::ndarray::Array2::zeros((60, 1));
    let told = doe()
        .information(x.view(), constant.view())
        .unwrap_err()
        .to_string();
    assert!(told.contains("does not vary"), "{told}");
}
