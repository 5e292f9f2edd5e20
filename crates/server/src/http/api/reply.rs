//! What a handler answers with, typed: the document has the schema of the very type that was
//! written.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};
use std::marker::PhantomData;

/// An answer that can be described.
pub(super) trait Reply: IntoResponse {
    const STATUS: StatusCode = StatusCode::OK;

    /// Its media types, each with its schema, as the document has them.
    fn content(schemas: &mut SchemaGenerator) -> Value;
}

/// 200 with what was asked for, or with the noun as a change left it.
///
/// What is written may borrow, and its description does not: a `Body<Noun<'a>>` is a
/// `Body<Noun<'static>>`, which is what a handler's signature says.
pub(super) struct Body<T>(Response, PhantomData<fn(T)>);

/// 201 with what was made.
pub(super) struct Created<T>(Response, PhantomData<fn(T)>);

impl<T: Serialize> Body<T> {
    pub(super) fn of(shown: T) -> Self {
        Self(Json(&shown).into_response(), PhantomData)
    }
}

impl<T: Serialize> Created<T> {
    pub(super) fn of(shown: T) -> Self {
        Self((StatusCode::CREATED, Json(&shown)).into_response(), PhantomData)
    }
}

/// One media type.
pub(super) fn json_of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    json!({ "application/json": { "schema": schemas.subschema_for::<T>() } })
}

impl<T: JsonSchema> Reply for Body<T> {
    fn content(schemas: &mut SchemaGenerator) -> Value {
        json_of::<T>(schemas)
    }
}

impl<T: JsonSchema> Reply for Created<T> {
    const STATUS: StatusCode = StatusCode::CREATED;

    fn content(schemas: &mut SchemaGenerator) -> Value {
        json_of::<T>(schemas)
    }
}

impl<T> IntoResponse for Body<T> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<T> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        self.0
    }
}
