import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { setConnectionOptions } from '../../src/netlink/command-socket.js';
import { NetlinkOption } from '../../src/netlink/constants.js';

type ErrnoName = keyof typeof constants.errno;

const failure = (name: ErrnoName): Error => Object.assign(new Error(name), { errno: constants.errno[name] });

/** The options that a kernel was asked for that fails one of them. */
const askedFor = (failing: number, name: ErrnoName): readonly number[] => {
  const asked: number[] = [];
  setConnectionOptions((option) => {
    asked.push(option);
    if (option === failing) throw failure(name);
  });
  return asked;
};

test('a kernel that lacks an option that only adds text to errors is good enough', () => {
  const all = Object.values(NetlinkOption).toSorted((a, b) => a - b);
  for (const option of [NetlinkOption.extendedAcknowledgements, NetlinkOption.strictChecking])
    assert.deepEqual(
      askedFor(option, 'ENOPROTOOPT').toSorted((a, b) => a - b),
      all,
    );
});

test('any other failure of an option is an error', () => {
  for (const option of Object.values(NetlinkOption))
    assert.throws(() => askedFor(option, 'EPERM'), { errno: constants.errno.EPERM });
});

test('an option that the connection depends on may not be missing', () => {
  for (const option of [NetlinkOption.noOverrunErrors, NetlinkOption.cappedAcknowledgements])
    assert.throws(() => askedFor(option, 'ENOPROTOOPT'), { errno: constants.errno.ENOPROTOOPT });
});
