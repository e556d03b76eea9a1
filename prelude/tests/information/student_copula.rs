//! The Student copula against closed forms.

use crate::common::{mapped, pairs, student};
use itd_prelude::information::{Estimator, StudentCopula};
use itd_prelude::stats;

#[test]
fn the_student_tasks() {
    let mut all = Vec::new();
    for (d, dof) in [
        (1, 1.0),
        (2, 1.0),
        (2, 2.0),
        (3, 2.0),
        (3, 3.0),
        (5, 2.0),
        (5, 3.0),
    ] {
        for seed in 0..3 {
            let case = student(10_000, d, dof, seed);
            let found = StudentCopula::default()
                .information(case.x.view(), case.y.view())
                .unwrap();
            let gap = found.nats - case.nats;
            println!(
                "{:14} seed {seed}: {:+.4} ± {:.4} dof {:?}",
                case.name,
                gap,
                found.std_err,
                found.diagnostic("degrees of freedom")
            );
            assert!(gap.abs() < 0.03, "{}: {found} {}", case.name, case.nats);
            let best = found.diagnostic("degrees of freedom").unwrap();
            assert!(best / dof < 1.45 && dof / best < 1.45, "{best} for {dof}");
            all.push(gap.abs());
            if seed == 0 {
                let bent = mapped(student(10_000, d, dof, seed), "asinh", f64::asinh);
                let same = StudentCopula::default()
                    .information(bent.x.view(), bent.y.view())
                    .unwrap();
                assert_eq!(same.nats, found.nats);
            }
        }
    }
    println!("mean absolute error {:.4}", stats::mean(&all));
    assert!(stats::mean(&all) < 0.009);
}

#[test]
fn gaussian_copulas_are_the_limit() {
    for (d, m) in [(1, 1), (3, 2), (10, 2)] {
        let case = pairs(10_000, d, m, 0.8, 1);
        let found = StudentCopula::default()
            .information(case.x.view(), case.y.view())
            .unwrap();
        assert_eq!(found.diagnostic("degrees of freedom"), Some(f64::INFINITY));
        assert!(
            (found.nats - case.nats).abs() < 0.02 + 3.0 * found.std_err,
            "{found} {}",
            case.nats
        );
    }
}

#[test]
fn the_limit_is_the_gaussian_log_ratio_of_the_scores() {
    let case = pairs(300, 2, 1, 0.7, 1);
    let only = StudentCopula {
        dofs: vec![f64::INFINITY],
    };
    let far = StudentCopula { dofs: vec![1e7] };
    let (a, b) = (
        only.information(case.x.view(), case.y.view()).unwrap(),
        far.information(case.x.view(), case.y.view()).unwrap(),
    );
    // Tyler's shape against second moments: equal up to their scatter.
    assert!((a.nats - b.nats).abs() < 0.05, "{a} {b}");
}

#[test]
fn bad_settings_are_refused() {
    let case = pairs(50, 1, 1, 0.5, 0);
    for dofs in [vec![], vec![0.0], vec![2.0, 1.0], vec![f64::NAN]] {
        assert!(
            StudentCopula { dofs }
                .information(case.x.view(), case.y.view())
                .is_err()
        );
    }
}

/// One value that stands for a missing one is in both vectors, and is nothing that they share.
#[test]
fn a_value_far_from_all_others_makes_no_function() {
    let task = itd_prelude::task::bivariate(0.5).unwrap();
    let mut pairs = task.sample(400, 0).unwrap();
    (pairs.x[[7, 0]], pairs.y[[7, 0]]) = (1e20, 1e20);
    let found = StudentCopula::default()
        .information(pairs.x.view(), pairs.y.view())
        .unwrap();
    assert!((found.nats - task.nats).abs() < 0.1, "{found}");
}
