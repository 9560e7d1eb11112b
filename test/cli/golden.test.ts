import assert from 'node:assert/strict';
import { test } from 'node:test';
import { presentGolden, wantedGoldens } from '../support/cli-goldens.js';

// Where another output is meant: node build/test/support/cli-goldens.js, and look at what git diff shows.

for (const [name, text] of wantedGoldens())
  test(`test/fixtures/cli/${name} is what is printed`, () => {
    assert.equal(text, presentGolden(name));
  });
