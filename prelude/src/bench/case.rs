//! What is timed.

/// A piece of work that both sides know by its words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// Its name, and its sizes in the order in which both sides read them.
    pub words: &'static str,
    /// The same for people.
    pub what: &'static str,
    pub rows: &'static [Row],
    /// Whether PyTorch can choose between two layouts of pictures, both of which it then has to show.
    pub layouts: bool,
    /// Heavy ones get a third of the tries.
    pub heavy: bool,
}

/// What of a case is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// The result only.
    Forward,
    /// The result, and the gradients by all that it depends on.
    Gradients,
    /// All that training does: samples, noise, loss, gradients, optimizer, moving average.
    Training,
}

impl Row {
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Gradients => "with gradients",
            Self::Training => "training",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Forward, Self::Gradients, Self::Training];
        all.into_iter().find(|row| row.name() == name)
    }

    /// How often as much as the forward pass it computes: gradients take two products for each one.
    fn passes(self) -> f64 {
        match self {
            Self::Forward => 1.0,
            Self::Gradients | Self::Training => 3.0,
        }
    }
}

/// The plain product that all else is compared with.
pub(super) const MATMUL: Case = Case {
    words: "matmul 1024",
    what: "1024×1024 by 1024×1024",
    rows: &[Row::Forward],
    layouts: false,
    heavy: false,
};

const BOTH: &[Row] = &[Row::Forward, Row::Gradients];

const fn operation(words: &'static str, what: &'static str, layouts: bool) -> Case {
    Case {
        words,
        what,
        rows: BOTH,
        layouts,
        heavy: false,
    }
}

const fn network(words: &'static str, what: &'static str, rows: &'static [Row]) -> Case {
    Case {
        words,
        what,
        rows,
        layouts: true,
        heavy: true,
    }
}

pub(super) const CASES: &[Case] = &[
    MATMUL,
    // n, channels in and out, side, kernel, stride
    operation("conv2d 16 64 64 32 3 1", "3×3, 64 channels, 32²", true),
    operation("conv2d 16 128 128 16 3 1", "3×3, 128 channels, 16²", true),
    operation("conv2d 16 256 256 8 3 1", "3×3, 256 channels, 8²", true),
    operation("conv2d 16 256 256 16 1 1", "1×1, 256 channels, 16²", true),
    operation(
        "conv2d 16 64 64 32 3 2",
        "3×3, stride 2, 64 channels, 32²",
        true,
    ),
    // n, channels, side, groups
    operation(
        "group_norm 16 64 32 32",
        "with SiLU, 64 channels, 32²",
        true,
    ),
    operation(
        "group_norm 16 128 16 32",
        "with SiLU, 128 channels, 16²",
        true,
    ),
    operation(
        "group_norm 16 256 8 32",
        "with SiLU, 256 channels, 8²",
        true,
    ),
    // n, heads, tokens, dim
    operation("attention 16 1 256 256", "1 head, 256 tokens of 256", false),
    operation("attention 16 4 256 64", "4 heads, 256 tokens of 64", false),
    operation("attention 64 4 196 16", "4 heads, 196 tokens of 16", false),
    // batch, side
    network(
        "unet 64 28",
        "a step, batch 64, 28×28, channels 32-64-64",
        &[Row::Training],
    ),
    // n, channels, side
    network("ddpm_block 16 128 32", "128 channels, 32²", BOTH),
    // batch, side, steps, channels of the largest pictures
    network(
        "ddpm 8 32 2 128",
        "a step of fine-tuning, batch 8, 32×32, 35.7 million parameters",
        &[Row::Training],
    ),
    // pictures, points, side
    network(
        "curve 256 20 28",
        "256 pictures × 20 points, 28×28, channels 32-64-64",
        &[Row::Forward],
    ),
    // batch, width, layers, waves of each coordinate, steps
    Case {
        words: "mlp 128 128 3 64 100",
        what: "100 steps, batch 128, 3×128, two dimensions",
        rows: &[Row::Training],
        layouts: false,
        heavy: true,
    },
];

impl Case {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.words.split(' ').next().unwrap_or_default()
    }

    /// Floating-point operations of a row, where products make up nearly all of it; an addition and a
    /// multiplication count as two.
    pub fn operations(&self, row: Row) -> Option<f64> {
        let sizes = sizes(self.words);
        let forward = match (self.name(), sizes.as_slice()) {
            ("matmul", &[n]) => 2.0 * (n as f64).powi(3),
            ("conv2d", &[n, c, o, side, kernel, stride]) => {
                n as f64 * conv(side.div_ceil(stride), c, o, kernel)
            }
            ("attention", &[n, heads, tokens, dim]) => {
                4.0 * (n * heads * dim) as f64 * (tokens as f64).powi(2)
            }
            ("unet", &[n, side]) => n as f64 * unet(side),
            ("curve", &[n, points, side]) => (n * points) as f64 * unet(side),
            ("ddpm_block", &[n, c, side]) => n as f64 * 2.0 * conv(side, c, c, 3),
            ("mlp", &[n, width, layers, waves, steps]) => {
                let inputs = 2 * (1 + 2 * waves) + 32;
                let weights = inputs * width + (layers - 1) * width * width + 2 * width;
                2.0 * (n * steps * weights) as f64
            }
            _ => return None,
        };
        Some(row.passes() * forward)
    }
}

/// The numbers behind the name.
pub(super) fn sizes(words: &str) -> Vec<usize> {
    let words = words.split_whitespace().skip(1);
    words.filter_map(|word| word.parse().ok()).collect()
}

/// A convolution that gives `side²` pixels.
fn conv(side: usize, from: usize, to: usize, kernel: usize) -> f64 {
    2.0 * (side * side * from * to * kernel * kernel) as f64
}

/// The convolutions, projections and attention of the U-Net of [`CASES`], for one picture.
fn unet(side: usize) -> f64 {
    let block = |side, from, to| {
        let skip = if from == to {
            0.0
        } else {
            conv(side, from, to, 1)
        };
        conv(side, from, to, 3) + conv(side, to, to, 3) + skip
    };
    let attention = |side: usize, c: usize| {
        conv(side, c, 4 * c, 1) + 4.0 * (c * side.pow(2) * side.pow(2)) as f64
    };
    let (half, quarter) = (side.div_ceil(2), side.div_ceil(4));
    let ends = conv(side, 1, 32, 3) + conv(side, 32, 1, 3);
    let down = block(side, 32, 32)
        + conv(half, 32, 32, 3)
        + block(half, 32, 64)
        + attention(half, 64)
        + conv(quarter, 64, 64, 3)
        + block(quarter, 64, 64);
    let up = 2.0 * block(quarter, 64, 64)
        + block(quarter, 128, 64)
        + conv(quarter, 64, 64, 1)
        + block(half, 128, 64)
        + attention(half, 64)
        + conv(half, 64, 32, 1)
        + block(side, 64, 32);
    ends + down + up
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_those_of_the_products() {
        let of = |words, row| operation(words, "", false).operations(row);
        assert_eq!(MATMUL.operations(Row::Forward), Some(2.0 * 1024f64.powi(3)));
        // Each of 4·4 pixels of 2 pictures: 5 sums of 3·3·3 products.
        let conv = 2.0 * (2 * 16 * 5 * 27) as f64;
        assert_eq!(of("conv2d 2 3 5 8 3 2", Row::Forward), Some(conv));
        assert_eq!(of("conv2d 2 3 5 8 3 2", Row::Gradients), Some(3.0 * conv));
        let products = 2.0 * 2.0 * (2 * 3 * 5 * 5 * 7) as f64;
        assert_eq!(of("attention 2 3 5 7", Row::Forward), Some(products));
        assert_eq!(of("group_norm 1 2 3 1", Row::Forward), None);
    }

    #[test]
    fn each_case_has_a_name_of_its_own() {
        for (i, case) in CASES.iter().enumerate() {
            assert!(CASES[..i].iter().all(|other| other.words != case.words));
            assert!(!sizes(case.words).is_empty(), "{}", case.words);
            for row in case.rows {
                assert_eq!(Row::named(row.name()), Some(*row));
            }
        }
    }
}
