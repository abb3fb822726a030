// What Microsoft's own parser of KQL says of queries. Stdin has {"tables": {table: {column: type}}, "queries": {name:
// text}} as JSON; stdout gets {name: [message]}, with an empty list for a query that it takes.
"use strict";

const service = "@kusto/language-service-next";
require(`${service}/bridge.min.js`);
require(`${service}/Kusto.Language.Bridge.min.js`);

const { GlobalState, KustoCode, Symbols } = Kusto.Language;

function databaseOf(tables) {
  const symbols = Object.entries(tables).map(([name, columns]) => {
    const schema = Object.entries(columns).map(([column, type]) => `['${column}']: ${type}`).join(", ");
    return new Symbols.TableSymbol.$ctor7(name, `(${schema})`, null);
  });
  return new Symbols.DatabaseSymbol.ctor("workspace", symbols);
}

function messagesOf(text, globals) {
  const found = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  return System.Linq.Enumerable.from(found, Kusto.Language.Diagnostic)
    .ToArray()
    .map((each) => `line ${text.slice(0, each.Start).split("\n").length}: ${each.Severity}: ${each.Message}`);
}

const asked = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const globals = GlobalState.Default.WithDatabase(databaseOf(asked.tables));
const said = Object.entries(asked.queries).map(([name, text]) => [name, messagesOf(text, globals)]);
process.stdout.write(JSON.stringify(Object.fromEntries(said)));
