//! The published data sets: what they hold, where they may lie, how to get them.

/// A published set of pictures in ten classes.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Known {
    /// What it is called.
    pub name: &'static str,
    /// Its folders under the one that is named for all sets.
    pub folders: &'static [&'static str],
    /// The folder of its files within a repository of the hub.
    pub config: &'static str,
    /// Its repositories on the hub, the present one first.
    pub repositories: &'static [&'static str],
    /// Where a package of the system puts it.
    pub package: Option<&'static str>,
    /// `[channels, height, width]`.
    pub shape: [usize; 3],
    /// What labels 0 to 9 stand for.
    pub classes: [&'static str; 10],
    /// What its part to learn from begins with in the published order: the files of MNIST and Fashion-MNIST
    /// have the same names.
    pub first_labels: Option<[u8; 10]>,
    /// How to get it.
    pub advice: &'static str,
}

/// MNIST.
pub const MNIST: Known = Known {
    name: "MNIST",
    folders: &["mnist", "MNIST/raw", "MNIST"],
    config: "mnist",
    repositories: &["ylecun/mnist", "mnist"],
    package: None,
    shape: [1, 28, 28],
    classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    first_labels: Some([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]),
    advice: "get it with `curl --create-dirs --output-dir mnist -LO \
             'https://ossci-datasets.s3.amazonaws.com/mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz'`, \
             then call `mnist_in(\"mnist\")`",
};

/// Fashion-MNIST.
pub const FASHION_MNIST: Known = Known {
    name: "Fashion-MNIST",
    folders: &["fashion-mnist", "fashion_mnist", "FashionMNIST/raw"],
    config: "fashion_mnist",
    repositories: &["zalando-datasets/fashion_mnist", "fashion_mnist"],
    package: Some("/usr/share/datasets/fashion-mnist"),
    shape: [1, 28, 28],
    classes: [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    first_labels: Some([9, 0, 0, 3, 0, 2, 7, 2, 5, 5]),
    advice: "get it with `apt-get install dataset-fashion-mnist`",
};

/// CIFAR-10.
pub const CIFAR_10: Known = Known {
    name: "CIFAR-10",
    folders: &[
        "cifar-10",
        "cifar-10/cifar-10-batches-bin",
        "cifar-10-batches-bin",
        "cifar-10-batches-py",
        "cifar10",
    ],
    config: "plain_text",
    repositories: &["uoft-cs/cifar10", "cifar10"],
    package: None,
    shape: [3, 32, 32],
    classes: [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ],
    first_labels: None,
    advice: "get it with `mkdir -p cifar-10 && curl -L \
             https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz | tar xz -C cifar-10`, \
             then call `cifar10_in(\"cifar-10\")`",
};

/// All of them.
pub(super) const ALL: [&Known; 3] = [&MNIST, &FASHION_MNIST, &CIFAR_10];

impl Known {
    /// The name of the other set that begins with these labels.
    pub(super) fn mistaken(&self, labels: &[u32]) -> Option<&'static str> {
        let begins = |set: &Known| {
            set.first_labels
                .is_some_and(|first| labels.starts_with(&first.map(u32::from)))
        };
        let other = ALL
            .into_iter()
            .find(|set| set.name != self.name && begins(set));
        other.map(|set| set.name)
    }
}
