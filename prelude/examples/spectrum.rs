//! Seconds and memory of a covariance and its eigenvalues: `spectrum N DIM [cache]`.

use std::time::Instant;

use itd_prelude::distribution::{Cache, GaussianConfig};
use itd_prelude::prelude::*;

fn main() -> Result<()> {
    let arguments: Vec<usize> = std::env::args()
        .skip(1)
        .map_while(|word| word.parse().ok())
        .collect();
    let &[n, dim] = arguments.as_slice() else {
        return Err(Error::Missing {
            what: "the numbers of samples and of dimensions are not given".into(),
            next: "give both, such as 50000 3072",
        });
    };
    let cache = match std::env::args().nth(3) {
        Some(_) => Cache::Auto,
        None => Cache::Off,
    };
    let data = Dataset::new("normal", rng::normal(&[n, dim], &mut rng::seeded(0))?)?;
    // Where Linux allows it, the peak starts again from what the data take.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    println!("data: {:.2} GB", peak());
    let start = Instant::now();
    let gaussian = data.gaussian_with(&GaussianConfig {
        cache,
        ..Default::default()
    })?;
    println!(
        "{n} × {dim}: {:.2} s, peak {:.2} GB",
        start.elapsed().as_secs_f64(),
        peak()
    );
    println!(
        "eigenvalues {:.6} to {:.6}",
        gaussian.eigenvalues[0],
        gaussian.eigenvalues[dim - 1]
    );
    Ok(())
}

/// The most memory that this process had, in GB; NaN where the system does not tell.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes * 1024e-9)
}
