//! Sends bytes to a collector by HTTP: the only file that names `reqwest`, `rustls` and
//! `rustls_platform_verifier`.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::config::{Headers, OtlpConfig};
use crate::error::{Cause, MetricsError, root_cause};

/// Longest answer that is read, in bytes: it says in a sentence what was refused.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Why a collector has not got an export, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// There is no connection, or it broke off, or it took too long.
    #[error("it can't be reached ({}); see that it runs, and metrics.endpoint", root_cause(&**.0))]
    Unreachable(#[source] Cause),
    /// It answers with an error of HTTP.
    #[error(
        "it answers with status {0}: 401 and 403 are about metrics.headers, 404 about the path of \
         metrics.endpoint, 429 and 503 pass by themselves"
    )]
    Status(u16),
    /// It answers with more than anybody has to say.
    #[error("its answer is too long; is metrics.endpoint a collector's?")]
    LongAnswer,
    /// It took a part.
    #[error("it refused {points} values: {why:?}")]
    Refused {
        /// So many.
        points: i64,
        /// Why, in its words.
        why: String,
    },
}

/// The way to one collector.
#[derive(Debug, Clone)]
pub struct Push {
    client: Client,
    endpoint: Url,
}

impl Push {
    /// Connects to nobody yet. Reads the certificates that this machine trusts, for `https`.
    ///
    /// # Errors
    /// A setting is wrong, or there are no certificates.
    pub fn new(config: &OtlpConfig) -> Result<Self, MetricsError> {
        let endpoint = endpoint(&config.endpoint)?;
        let tls = tls(endpoint.scheme() == "https").map_err(|e| MetricsError::Tls(Box::new(e)))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(headers(&config.headers)?)
            .timeout(Duration::from_millis(config.timeout_ms))
            // Headers with a key go to nobody else, and a setting of the environment changes nothing.
            .redirect(Policy::none())
            .no_proxy()
            .build();
        let client = client.map_err(|error| MetricsError::Tls(Box::new(error)))?;
        Ok(Self { client, endpoint })
    }

    /// Sends a body of protobuf, and gives the answer to one that was taken.
    ///
    /// # Errors
    /// It did not arrive, or was not taken.
    pub async fn send(&self, body: Vec<u8>) -> Result<Vec<u8>, PushError> {
        // The error's own words have the URL in them.
        let failed = |error: reqwest::Error| PushError::Unreachable(error.without_url().into());
        let request = self.client.post(self.endpoint.clone());
        let request = request.header(CONTENT_TYPE, PROTOBUF).body(body);
        let mut answer = request.send().await.map_err(failed)?;
        if answer.status() != StatusCode::OK {
            return Err(PushError::Status(answer.status().as_u16()));
        }
        let mut read = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            if read.len() + part.len() > MAX_ANSWER_BYTES {
                return Err(PushError::LongAnswer);
            }
            read.extend(part);
        }
        Ok(read)
    }
}

/// Checks what goes into a request.
///
/// # Errors
/// Names the setting, and says nothing of a header's value.
pub fn check(config: &OtlpConfig) -> Result<(), MetricsError> {
    endpoint(&config.endpoint)?;
    headers(&config.headers).map(drop)
}

fn endpoint(text: &str) -> Result<Url, MetricsError> {
    let wrong = |problem: &str| {
        Err(MetricsError::Config {
            field: "endpoint",
            problem: format!(
                "{problem}; name a collector's, as in http://127.0.0.1:4318/v1/metrics"
            ),
        })
    };
    match Url::parse(text) {
        Err(error) => wrong(&format!("it is no URL ({error})")),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            wrong("it is neither http nor https")
        }
        Ok(url) if url.password().is_some() || !url.username().is_empty() => {
            wrong("it has a name or password in it, which belong into metrics.headers")
        }
        Ok(url) => Ok(url),
    }
}

fn headers(given: &Headers) -> Result<HeaderMap, MetricsError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given.iter() {
        let wrong = |problem: &str| MetricsError::Config {
            field: "headers",
            problem: format!("{problem} (the header {name:?})"),
        };
        if value == Headers::HIDDEN {
            return Err(wrong(
                "a value was hidden where it was shown; write it again",
            ));
        }
        let parsed =
            HeaderName::try_from(name).map_err(|_| wrong("this is no name of a header"))?;
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| wrong("its value has a letter that none may have"))?;
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

/// Certificates are those that this machine trusts. Without TLS none are needed, so none are read.
fn tls(needed: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions()?;
    let config = match needed {
        true => config.with_platform_verifier()?,
        false => config.with_root_certificates(RootCertStore::empty()),
    };
    Ok(config.with_no_client_auth())
}
