import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, until } from './eventually.js';

test('the value of the check is given as soon as it holds', async () => {
  let looks = 0;
  const value = await eventually(() => {
    looks += 1;
    assert.equal(looks, 3);
    return 'seen';
  });
  assert.deepEqual([value, looks], ['seen', 3]);
});

test('a check that never holds fails with its own text and with what it saw last, after a last look at the end', async () => {
  let looks = 0;
  await assert.rejects(
    eventually(() => {
      looks += 1;
      throw new Error(`look ${looks}`);
    }, 30),
    (error: Error) => {
      assert.match(error.message, /^waited \d+ ms for \(\) => \{[^]*looks \+= 1/);
      assert.ok(error.message.endsWith(`and saw last:\nlook ${looks}`), error.message);
      assert.equal((error.cause as Error).message, `look ${looks}`);
      return true;
    },
  );
  assert.ok(looks >= 2);
});

test('a condition that is not met is named', async () => {
  let met = false;
  setImmediate(() => (met = true));
  await until('the turn after', () => met);
  await assert.rejects(
    until('the end of the world', () => false, 10),
    /saw last:\nnot yet: the end of the world$/,
  );
});
