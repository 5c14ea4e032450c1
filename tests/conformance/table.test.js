'use strict';
// The table in README.md and the tests agree: every check is there once, every test it names exists, and
// every test with a number is named.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const CHECKS = 213;
const LATER = ['scale-out'];

const read = (file) => fs.readFileSync(path.join(__dirname, file), 'utf8');

/** number -> what the last column says, in parts. */
function rows() {
  const found = new Map();
  for (const line of read('README.md').split('\n')) {
    const row = /^\| (\d+) \| (.+) \| ([^|]+) \|$/.exec(line);
    if (!row) continue;
    const number = Number(row[1]);
    assert.ok(!found.has(number), `check ${number} is there twice`);
    found.set(number, row[3].split(', '));
  }
  return found;
}

/** The numbers at the beginning of the names of a file's tests. */
function numbersOf(file) {
  const numbers = new Set();
  for (const [, name] of read(file).matchAll(/\btest\(\s*(?:'|"|`)((?:#\d+ )+)/g))
    for (const [, number] of name.matchAll(/#(\d+)/g)) numbers.add(Number(number));
  return numbers;
}

test('the table has every check once', () => {
  assert.deepEqual([...rows().keys()], Array.from({ length: CHECKS }, (_, i) => i + 1));
});

test('the table names tests that exist, or later work', () => {
  for (const [number, places] of rows()) {
    for (const place of places) {
      const [, file, name] = /^`([^`:]+)(?:: (\w+))?`$/.exec(place) || [];
      if (!file) assert.ok(LATER.some((topic) => place === `later: ${topic}`), `${number}: ${place}`);
      else if (file.endsWith('.test.js')) assert.ok(numbersOf(file).has(number), `${number}: ${file} has no test of that number`);
      else assert.match(read(file), new RegExp(`static void ${name}\\(void`), `${number}: ${place}`);
    }
  }
});

test('every test with a number is in the table', () => {
  const table = rows();
  for (const folder of ['.', '../integration'])
    for (const file of fs.readdirSync(path.join(__dirname, folder)).filter((f) => f.endsWith('.test.js')))
      for (const number of numbersOf(path.join(folder, file)))
        assert.ok(table.get(number).includes(`\`${path.join(folder, file)}\``), `${number} is tested in ${folder}/${file}`);
});
