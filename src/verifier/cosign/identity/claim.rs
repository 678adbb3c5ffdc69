//! Claims that Fulcio writes into certificates.

/// A claim, by the name of its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Claim {
    /// `.2`
    GithubWorkflowTrigger,
    /// `.3`
    GithubWorkflowSha,
    /// `.4`
    GithubWorkflowName,
    /// `.5`
    GithubWorkflowRepository,
    /// `.6`
    GithubWorkflowRef,
    /// `.11`
    RunnerEnvironment,
}

impl Claim {
    /// All.
    pub const ALL: &'static [Self] = &[
        Self::GithubWorkflowTrigger,
        Self::GithubWorkflowSha,
        Self::GithubWorkflowName,
        Self::GithubWorkflowRepository,
        Self::GithubWorkflowRef,
        Self::RunnerEnvironment,
    ];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GithubWorkflowTrigger => "githubWorkflowTrigger",
            Self::GithubWorkflowSha => "githubWorkflowSha",
            Self::GithubWorkflowName => "githubWorkflowName",
            Self::GithubWorkflowRepository => "githubWorkflowRepository",
            Self::GithubWorkflowRef => "githubWorkflowRef",
            Self::RunnerEnvironment => "runnerEnvironment",
        }
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|claim| claim.as_str() == name)
    }
}
