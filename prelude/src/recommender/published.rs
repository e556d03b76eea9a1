//! What was published for MovieLens-100k.

/// A row of the published tables: recall and NDCG of ten, for each [column](PUBLISHED_COLUMNS).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedRow {
    /// What the synthetic users come from.
    pub model: &'static str,
    /// Recall@10 and NDCG@10.
    pub columns: [(f64, f64); 6],
}

/// The recommender that is trained, and whether on real and synthetic users or on the latter only.
pub const PUBLISHED_COLUMNS: [&str; 6] = [
    "SVD augmented",
    "SVD synthetic",
    "MLP augmented",
    "MLP synthetic",
    "NeuMF augmented",
    "NeuMF synthetic",
];

/// The columns of MovieLens-100k of Tables 1 to 3: means of five runs. In the first row nothing is synthetic.
///
/// # Source
/// Lilienthal, Mello, Eirinaki, Tiomkin (2024), IEEE Access 12:58275–58287, arXiv:2311.03488, Tables 1, 2 and 3. The .0530
/// of MultiVAE is as printed.
pub const PUBLISHED: [PublishedRow; 9] = [
    row(
        "original data",
        [
            (0.3716, 0.3973),
            (0.3716, 0.3973),
            (0.3569, 0.3788),
            (0.3569, 0.3788),
            (0.1006, 0.0960),
            (0.1006, 0.0960),
        ],
    ),
    row(
        "CTGAN",
        [
            (0.3533, 0.3813),
            (0.2215, 0.2250),
            (0.3567, 0.3781),
            (0.2017, 0.2197),
            (0.0889, 0.0860),
            (0.0532, 0.0500),
        ],
    ),
    row(
        "TVAE",
        [
            (0.3668, 0.3918),
            (0.2641, 0.2766),
            (0.3437, 0.3622),
            (0.1334, 0.1586),
            (0.1258, 0.1282),
            (0.1289, 0.1326),
        ],
    ),
    row(
        "CODIGEM",
        [
            (0.3492, 0.3745),
            (0.2799, 0.2860),
            (0.3479, 0.3686),
            (0.1445, 0.1403),
            (0.1015, 0.0839),
            (0.0782, 0.0552),
        ],
    ),
    row(
        "DiffRec",
        [
            (0.3700, 0.4021),
            (0.3476, 0.3624),
            (0.3550, 0.3769),
            (0.2997, 0.3107),
            (0.1147, 0.1093),
            (0.0726, 0.0629),
        ],
    ),
    row(
        "MultiVAE",
        [
            (0.3822, 0.4103),
            (0.3724, 0.3937),
            (0.0530, 0.0615),
            (0.3359, 0.3465),
            (0.1253, 0.1180),
            (0.0951, 0.0894),
        ],
    ),
    row(
        "MultiVAE++",
        [
            (0.3878, 0.4126),
            (0.3889, 0.4140),
            (0.3901, 0.4101),
            (0.3488, 0.3616),
            (0.2357, 0.1858),
            (0.2309, 0.1853),
        ],
    ),
    row(
        "F-SDRM",
        [
            (0.3924, 0.4181),
            (0.3931, 0.4176),
            (0.3839, 0.4055),
            (0.3601, 0.3754),
            (0.2320, 0.1891),
            (0.2421, 0.1913),
        ],
    ),
    row(
        "M-SDRM",
        [
            (0.3971, 0.4170),
            (0.3946, 0.4176),
            (0.3947, 0.4190),
            (0.3544, 0.3755),
            (0.2425, 0.1860),
            (0.2303, 0.1814),
        ],
    ),
];

const fn row(model: &'static str, columns: [(f64, f64); 6]) -> PublishedRow {
    PublishedRow { model, columns }
}
