//! The only place where a script engine is built: every limit is set and every way out is closed here.

use rhai::module_resolvers::DummyModuleResolver;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicStringPackage,
    LogicPackage, Package,
};
use rhai::{Dynamic, Engine, Module, OptimizationLevel, Token};

use crate::{api, run};

/// What one run of a script may use, in operations. The script runtime counts about one for each expression that it
/// evaluates; functions that work through text count one more for every 16 bytes.
pub const FUEL: u64 = 20_000;

/// How deep functions may call each other.
pub const MAX_CALL_DEPTH: usize = 16;

/// How large a text may grow, in bytes; also what all texts of one array or map may take together.
pub const MAX_STRING_BYTES: usize = 4_096;

/// How many elements an array may have, those of nested arrays included.
pub const MAX_ARRAY_LEN: usize = 256;

/// How many entries an object map may have, those of nested maps included.
pub const MAX_MAP_LEN: usize = 256;

/// How large a script may be, in bytes, without its tests.
pub const MAX_SCRIPT_BYTES: usize = 64 * 1_024;

/// How large a script may be, in bytes, with its tests.
pub const MAX_FILE_BYTES: usize = 256 * 1_024;

/// How many functions a script may have, those of its tests included.
pub(crate) const MAX_TEST_FUNCTIONS: usize = 1_024;

/// How many preferences, exclusions, fallbacks and tags one run may give, of each kind.
pub const MAX_VERDICT_ENTRIES: usize = 64;

/// How many alerts one run of `finish` may raise.
pub const MAX_ALERTS: usize = 4;

/// How long a message, name or tag in a verdict may be, in bytes.
pub const MAX_VERDICT_TEXT_BYTES: usize = 512;

/// How deep expressions may nest.
const MAX_EXPRESSION_DEPTH: usize = 32;

/// Words of the language that scripts can't use: they would run text as code or print.
const DISABLED: [&str; 3] = ["eval", "print", "debug"];

// One package of them all: each call to a native function asks one package after the other. Left out are the language's
// clocks and `sleep`, its random and platform-dependent mathematics, and whatever parses or prints.
rhai::def_package! {
    /// The parts of the language that scripts may use.
    pub(crate) Language(module): ArithmeticPackage, LogicPackage, BasicStringPackage, BasicIteratorPackage,
        BasicFnPackage, BasicArrayPackage {}
}

/// Builds an engine that scripts run in.
fn engine(language: &Language) -> Engine {
    // Raw: no package, no output, no module resolver. What scripts may call is what is registered below.
    let mut engine = Engine::new_raw();
    language.register_into_engine(&mut engine);
    api::register(&mut engine);

    // Modules are put in when a script is compiled: while it runs there is nothing to be found.
    engine.set_module_resolver(DummyModuleResolver::new());
    name_call(&mut engine);
    for word in DISABLED {
        engine.disable_symbol(word);
    }
    engine
        .set_max_operations(FUEL)
        .set_max_call_levels(MAX_CALL_DEPTH)
        .set_max_expr_depths(MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_DEPTH)
        .set_max_string_size(MAX_STRING_BYTES)
        .set_max_array_size(MAX_ARRAY_LEN)
        .set_max_map_size(MAX_MAP_LEN)
        .set_max_variables(128)
        .set_max_functions(64)
        .set_strict_variables(true)
        .set_optimization_level(OptimizationLevel::Simple);
    // What native functions charge counts too, which the runtime's own limit doesn't know of.
    engine.on_progress(|operations| (!run::progress(operations)).then_some(Dynamic::UNIT));
    engine
}

/// Lets scripts name their first parameter `call`, a word that the language keeps for calling closures (`f.call(x)`, which
/// works all the same).
#[expect(deprecated, reason = "not deprecated: marked so because it may change, and the version is pinned")]
fn name_call(engine: &mut Engine) {
    engine.on_parse_token(|token, _, _| match token {
        Token::Reserved(word) if *word == "call" => Token::Identifier(word),
        token => token,
    });
}

/// The engine of one script, which knows the script's constants and those that its modules look up.
pub(crate) fn script_engine(
    language: &Language,
    constants: impl IntoIterator<Item = (String, Dynamic)>,
) -> Engine {
    let mut engine = engine(language);
    // Numbers and texts go into the functions when they are compiled; arrays and maps are looked up.
    let mut module = Module::new();
    for (name, value) in constants {
        module.set_var(name, value);
    }
    engine.register_global_module(module.into());
    engine
}

/// An engine that keeps the syntax tree as it was written, for checks.
pub(crate) fn checking_engine(language: &Language) -> Engine {
    let mut engine = engine(language);
    // Constants aren't known yet, so their names can't be checked here.
    engine.set_optimization_level(OptimizationLevel::None).set_strict_variables(false);
    engine
}
