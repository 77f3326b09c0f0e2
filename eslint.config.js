// Lint of the page's modules. Format is not its business, and types are those of tsc.

import js from "@eslint/js";
import globals from "globals";

const MARKUP = "markup enters the document through markup.js alone";
const TEXTS = "a text of the interface stands in server/page/texts; see server/page/language.js";

// A word that begins with a capital letter, two words in a row, or one beside a value: what a user
// reads. Names of classes, keys of the keyboard, queries and errors of the page itself are not.
const READ = "/^[\\s,.;:·(]*(?!Chorus|Ed25519)[A-Z][a-z]|[A-Za-z]{2}[,.;:]? [A-Za-z]{2}/";
const READ_BESIDE = "/^ [a-z]{2,}|[a-z]{2,} $/";
const UNREAD = [
  "Property[key.name='class'] *",
  "Property[key.value='aria-keyshortcuts'] *",
  "AssignmentExpression[left.property.name='className'] *",
  "BinaryExpression > *",
  "SwitchCase > *",
  "NewExpression[callee.name=/Error$/] *",
  "CallExpression[callee.name='matchMedia'] *",
  "CallExpression[callee.object.name='console'] *",
  "CallExpression[callee.property.name=/^(querySelector(All)?|closest|matches)$/] *",
].map((selector) => `:not(${selector})`);

export default [
  { ignores: ["**/.*/", "**/build/", "**/dist/", "server/page/vendor/"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  {
    rules: {
      "array-callback-return": "error",
      "default-case": "error",
      "dot-notation": "error",
      eqeqeq: "error",
      "no-console": ["error", { allow: ["warn", "error"] }],
      "no-else-return": "error",
      "no-eval": "error",
      "no-implicit-coercion": "error",
      "no-implicit-globals": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-param-reassign": "error",
      "no-promise-executor-return": "error",
      "no-return-assign": ["error", "always"],
      "no-self-compare": "error",
      "no-sequences": "error",
      "no-shadow": "error",
      "no-throw-literal": "error",
      "no-undef-init": "error",
      "no-unneeded-ternary": "error",
      "no-unused-expressions": "error",
      "no-unused-vars": ["error", { varsIgnorePattern: "^_", argsIgnorePattern: "^_" }],
      "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
      "no-useless-concat": "error",
      "no-useless-rename": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-arrow-callback": "error",
      "prefer-const": "error",
      "prefer-object-has-own": "error",
      "prefer-rest-params": "error",
      "prefer-spread": "error",
      "prefer-template": "error",
      "require-await": "error",
      radix: "error",
    },
  },
  {
    files: ["server/page/**/*.js"],
    languageOptions: { globals: globals.browser },
    rules: {
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML", "setHTMLUnsafe", "srcdoc"].map(
          (property) => ({ property, message: MARKUP }),
        ),
        { object: "document", property: "write", message: MARKUP },
        { object: "document", property: "writeln", message: MARKUP },
      ],
      "no-restricted-globals": ["error", { name: "DOMParser", message: MARKUP }],
    },
  },
  {
    files: ["server/page/**/*.js"],
    // The catalogues, and modules whose texts are the wire's or the document's.
    ignores: [
      "server/page/texts/*",
      ...["language", "markup", "protocol", "statement"].map((name) => `server/page/${name}.js`),
    ],
    rules: {
      "no-restricted-syntax": [
        "error",
        ...[
          `Literal[value=${READ}]`,
          `TemplateElement[value.raw=${READ}]`,
          `TemplateElement[value.raw=${READ_BESIDE}]`,
        ].map((selector) => ({ selector: selector + UNREAD.join(""), message: TEXTS })),
      ],
    },
  },
  {
    files: ["server/page/markup.js"],
    rules: {
      "no-restricted-globals": "off", // it is the door that the rule points to
    },
  },
];
