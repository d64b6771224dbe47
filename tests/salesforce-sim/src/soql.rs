//! SOQL: text to tokens to a tree, the tree checked against the schema, the check result run over rows.

pub(crate) mod ast;
pub(crate) mod date_literal;
pub(crate) mod error;
pub(crate) mod eval;
pub(crate) mod lexer;
pub(crate) mod like;
pub(crate) mod parser;
pub(crate) mod plan;
pub(crate) mod render;
pub(crate) mod understood;

pub(crate) use error::SoqlError;
