//! A trace goes on in another process: what W3C calls `traceparent`.

use std::collections::HashMap;

use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const HEADER: &str = "traceparent";

/// Who we are in the trace that is going on: what comes of it elsewhere can be told to belong to it.
#[must_use]
pub fn traceparent() -> Option<String> {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut headers);
    headers.remove(HEADER)
}

/// The span, which has not begun yet, comes of what that `traceparent` names, and belongs to its trace. One that means nothing is
/// ignored: others wrote it.
#[must_use]
pub fn follow(span: Span, traceparent: Option<&str>) -> Span {
    if let Some(context) = traceparent.map(context) {
        // Without traces there is nothing to belong to.
        let _ = span.set_parent(context);
    }
    span
}

/// The span has to do with what that `traceparent` names, which may be long over: it has a trace of its own, and a link to that one.
#[must_use]
pub fn link(span: Span, traceparent: Option<&str>) -> Span {
    if let Some(context) = traceparent.map(context) {
        span.add_link(context.span().span_context().clone());
    }
    span
}

fn context(traceparent: &str) -> Context {
    let headers = HashMap::from([(HEADER.to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract(&headers)
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::info_span;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn traced<T>(run: impl FnOnce() -> T) -> T {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), run)
    }

    #[test]
    fn there_is_a_parent_only_while_a_trace_is_recorded() {
        assert_eq!(traceparent(), None);
        let parent = traced(|| info_span!("reconcile").in_scope(traceparent)).unwrap();
        let parts: Vec<usize> = parent.split('-').map(str::len).collect();
        assert_eq!(parts, [2, 32, 16, 2], "{parent}");
    }

    #[test]
    fn who_follows_has_the_same_trace_and_a_number_of_its_own() {
        let own = traced(|| follow(info_span!("program"), Some(PARENT)).in_scope(traceparent)).unwrap();
        assert_eq!(own[..36], PARENT[..36]);
        assert_ne!(own[36..52], PARENT[36..52]);
    }

    #[test]
    fn what_is_no_parent_begins_another_trace() {
        for odd in [None, Some(""), Some("00-trace"), Some("00-00000000000000000000000000000000-b7ad6b7169203331-01")] {
            let own = traced(|| follow(info_span!("program"), odd).in_scope(traceparent)).unwrap();
            assert!(!own.contains("-b7ad6b7169203331-"), "{odd:?}: {own}");
        }
        assert_eq!(follow(info_span!("program"), Some(PARENT)).in_scope(traceparent), None, "nothing is recorded");
    }
}
