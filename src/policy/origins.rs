//! Which origins may send to which project. Owns the rule that a project's own
//! list replaces the default whole; never reads a header.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use crate::domain::endpoint::ProjectId;
use crate::domain::origin::AllowedOrigins;

/// The allowed origins of every project; immutable, a reload builds another.
#[derive(Debug, Clone)]
pub struct Origins {
    default: AllowedOrigins,
    own: HashMap<ProjectId, AllowedOrigins, RandomState>,
}

impl Default for Origins {
    fn default() -> Self {
        Self::new(AllowedOrigins::any(), [])
    }
}

impl Origins {
    /// The default list, and those of the projects that have their own.
    #[must_use]
    pub fn new(
        default: AllowedOrigins,
        own: impl IntoIterator<Item = (ProjectId, AllowedOrigins)>,
    ) -> Self {
        Self {
            default,
            own: own.into_iter().collect(),
        }
    }

    /// The list that counts for a project; one that is not named follows the default.
    #[must_use]
    pub fn of(&self, project: Option<ProjectId>) -> &AllowedOrigins {
        project
            .and_then(|project| self.own.get(&project))
            .unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::origin::Origin;

    fn list(patterns: &[&str]) -> AllowedOrigins {
        AllowedOrigins::parse(patterns.iter().copied()).unwrap()
    }

    #[test]
    fn a_projects_own_list_replaces_the_default_whole() {
        let seven = ProjectId::parse(b"7").unwrap();
        let origins = Origins::new(list(&["shop.example"]), [(seven, list(&["blog.example"]))]);
        let allows = |project, url: &str| {
            let origin = Origin::of_request(Some(url.as_bytes()), None);
            origins.of(project).allows(origin.as_ref())
        };
        assert!(allows(Some(seven), "https://blog.example"));
        assert!(!allows(Some(seven), "https://shop.example"));
        for other in [None, ProjectId::parse(b"8")] {
            assert!(allows(other, "https://shop.example"));
            assert!(!allows(other, "https://blog.example"));
        }
    }
}
