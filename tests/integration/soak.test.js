'use strict';
// A short form of `make soak`: churn of all kinds, while memory stays.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { test } = require('node:test');
const { BUILD } = require('./lib.js');

test('clients of all kinds come and go, and memory stays', { skip: process.env.ASAN_OPTIONS && 'a sanitizer keeps what is freed' }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(__dirname, '../hostile/soak.js'), BUILD, '15'], { encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
});
