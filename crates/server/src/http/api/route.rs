//! A route of the API, with its description: declared once, in its handler's module.
//!
//! The router is built from these declarations and so is the document, so no route is without a
//! description. What a handler takes and answers with is read from its signature; which fields and
//! parameters there are is checked here, before it is called.

use super::body::Sent;
use super::field::Field;
use super::query::Query;
use super::refusal::Refusal;
use super::reply::Reply;
use super::{Base, ContractId, Id, Routes};
use crate::app::App;
use crate::http::Error;
use crate::http::visitor::Asking;
use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::SchemaGenerator;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A method on a path.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// Below `/api/v1`. What stands in braces is a number where it is called `id` or `number`,
    /// and text otherwise.
    pub(super) path: &'static str,
    /// What it does, in a sentence without a full stop.
    pub(super) summary: &'static str,
    pub(super) declared: Declared,
    pub(super) takes: Takes,
    /// What it may be refused with, besides what any call may.
    pub(super) refusals: &'static [Refusal],
    pub(super) needs_key: bool,
    /// Sent again under one `Idempotency-Key`, it is done once.
    pub(super) once_by_key: bool,
    pub(super) reply: Described,
    handler: MethodRouter<Arc<App>>,
}

/// What a request may say; every request is checked against it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Declared {
    query: &'static [&'static [Field]],
    pub(super) body: &'static [Field],
}

impl Declared {
    /// The parameters of the query.
    pub(super) fn query(self) -> impl Iterator<Item = &'static Field> {
        self.query.iter().copied().flatten()
    }
}

/// How it answers where it does not refuse.
pub(super) struct Described {
    pub(super) status: u16,
    pub(super) content: fn(&mut SchemaGenerator) -> Value,
}

/// What a handler reads of its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Takes {
    pub(super) query: bool,
    pub(super) body: bool,
}

/// An argument of a handler.
pub(super) trait Part {
    const TAKES: Takes = Takes { query: false, body: false };
}

impl Part for State<Arc<App>> {}
impl Part for Base {}
impl Part for Asking {}
impl Part for Id {}
impl Part for ContractId {}
impl Part for Query {
    const TAKES: Takes = Takes { query: true, body: false };
}
impl Part for Sent {
    const TAKES: Takes = Takes { query: false, body: true };
}

/// A handler, by its signature.
pub(super) trait Call<T>: Handler<T, Arc<App>> {
    type Reply: Reply;
    const TAKES: Takes;
}

impl<F, Fut, R> Call<((),)> for F
where
    F: FnOnce() -> Fut + Handler<((),), Arc<App>>,
    Fut: Future<Output = Result<R, Error>>,
    R: Reply,
{
    type Reply = R;
    const TAKES: Takes = Takes { query: false, body: false };
}

macro_rules! calls {
    ($($part:ident)+) => {
        impl<F, Fut, R, M, $($part),+> Call<(M, $($part,)+)> for F
        where
            F: FnOnce($($part),+) -> Fut + Handler<(M, $($part,)+), Arc<App>>,
            Fut: Future<Output = Result<R, Error>>,
            R: Reply,
            $($part: Part,)+
        {
            type Reply = R;
            const TAKES: Takes = Takes {
                query: false $(|| $part::TAKES.query)+,
                body: false $(|| $part::TAKES.body)+,
            };
        }
    };
}

calls!(A);
calls!(A B);
calls!(A B C);
calls!(A B C D);
calls!(A B C D E);

impl Route {
    fn new<T: 'static, H: Call<T>>(
        method: (&'static str, MethodFilter),
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        Self {
            method: method.0,
            path,
            summary,
            declared: Declared::default(),
            takes: H::TAKES,
            refusals: &[],
            needs_key: true,
            once_by_key: H::TAKES.body,
            reply: Described { status: H::Reply::STATUS.as_u16(), content: H::Reply::content },
            handler: on(method.1, handler),
        }
    }

    pub(super) fn get<T: 'static>(
        path: &'static str,
        summary: &'static str,
        handler: impl Call<T>,
    ) -> Self {
        Self::new(("GET", MethodFilter::GET), path, summary, handler)
    }

    pub(super) fn post<T: 'static>(
        path: &'static str,
        summary: &'static str,
        handler: impl Call<T>,
    ) -> Self {
        Self::new(("POST", MethodFilter::POST), path, summary, handler)
    }

    pub(super) fn patch<T: 'static>(
        path: &'static str,
        summary: &'static str,
        handler: impl Call<T>,
    ) -> Self {
        Self::new(("PATCH", MethodFilter::PATCH), path, summary, handler)
    }

    pub(super) fn put<T: 'static>(
        path: &'static str,
        summary: &'static str,
        handler: impl Call<T>,
    ) -> Self {
        Self::new(("PUT", MethodFilter::PUT), path, summary, handler)
    }

    /// The parameters its query may have, in tables.
    pub(super) fn query(mut self, tables: &'static [&'static [Field]]) -> Self {
        self.declared.query = tables;
        self
    }

    /// The fields its body may have. Where none is required, an empty body is as good as `{}`.
    pub(super) fn body(mut self, fields: &'static [Field]) -> Self {
        self.declared.body = fields;
        self
    }

    pub(super) fn refuses(mut self, refusals: &'static [Refusal]) -> Self {
        self.refusals = refusals;
        self
    }

    /// Looks at no `Idempotency-Key`: it is done whenever it is asked for.
    pub(super) fn every_time(mut self) -> Self {
        self.once_by_key = false;
        self
    }

    /// Answers whoever asks.
    pub(super) fn without_key(mut self) -> Self {
        self.needs_key = false;
        self
    }
}

/// The router of these routes. A path answers with the methods it has to any that it has not.
pub(super) fn mounted(routes: impl IntoIterator<Item = Route>) -> Routes {
    let mut paths: BTreeMap<&str, (Vec<&str>, MethodRouter<Arc<App>>)> = BTreeMap::new();
    for route in routes {
        let (methods, all) = paths.entry(route.path).or_default();
        methods.push(route.method);
        if route.method == "GET" {
            methods.push("HEAD");
        }
        let check = middleware::from_fn_with_state(route.declared, known);
        *all = std::mem::take(all).merge(route.handler.route_layer(check));
    }
    paths.into_iter().fold(Router::new(), |router, (path, (methods, all))| {
        let methods = methods.join(", ");
        let other = async move || Error::Method(methods.into());
        router.route(path, all.fallback(other))
    })
}

/// Lets a request in whose query is made of known parameters, and hands it on with them and with
/// the fields its body may have.
async fn known(
    State(declared): State<Declared>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let sent = request.uri().query().unwrap_or_default();
    let query = Query::read(sent, declared.query())?;
    request.extensions_mut().insert(query);
    request.extensions_mut().insert(declared);
    Ok(next.run(request).await)
}
