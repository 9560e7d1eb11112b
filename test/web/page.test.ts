import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { chromium, type Browser, type Page } from 'playwright-core';
import { eventually } from '../support/eventually.js';
import { loseEndpoint, pageObjects, startPageNode, type PageNode } from '../support/page-node.js';

// Debian's Chromium opens the page of a daemon over a fake kernel.

const need = fileURLToPath(new URL('../../../scripts/need', import.meta.url));

let browser: Browser;
before(async () => {
  execFileSync(need, ['chromium=chromium']);
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
});
after(() => browser.close());

/** What the browser complained about: violations of the CSP, errors of the program, requests to elsewhere. */
const complaints: string[] = [];
afterEach(async () => {
  // The page of a failed test would complain in the next one.
  for (const context of browser.contexts()) await context.close();
  assert.deepEqual(complaints.splice(0), []);
});

interface Options {
  readonly width: number;
  readonly height?: number;
  readonly colorScheme?: 'dark' | 'light';
}

/** Opens the page, once its first sample is there. */
const openPage = async (
  node: PageNode,
  { width, height = 800, colorScheme = 'light' }: Options,
): Promise<Page> => {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce' });
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== node.url) complaints.push(request.url());
  });
  await page.goto(node.url);
  await page.getByText('Live', { exact: true }).waitFor();
  return page;
};

const goTo = async (page: Page, view: string, text: string): Promise<void> => {
  await page.evaluate(`location.hash = ${JSON.stringify(view)}`);
  await page.getByText(text).first().waitFor();
};

const violations = async (page: Page): Promise<readonly string[]> => {
  await page.evaluate(axe.source);
  const { violations: found } = await page.evaluate<axe.AxeResults>('axe.run()');
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join('\n')}`);
};

const overflow = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - innerWidth');

const shownKeys = (page: Page): Promise<readonly string[]> =>
  page.evaluate(`[...document.querySelectorAll('.space .row .name')].map(({ textContent }) => textContent)`);

const views = [
  ['#services', 'shop/web'],
  ['#servers', 'TCP 10.96.0.1:8080'],
  ['#drains', 'Draining real servers'],
  ['#drift', 'No other program'],
  ['#problems', 'AddressInUse'],
  ['#services/shop/web', 'are in the kernel as desired'],
] as const;

const sizes: readonly Options[] = [
  { width: 400, colorScheme: 'dark' },
  { width: 1_600, colorScheme: 'light' },
  { width: 3_840, height: 2_160, colorScheme: 'dark' },
];

for (const size of sizes)
  test(`at ${size.width} pixels, ${size.colorScheme}: no view overflows, and axe finds nothing`, async () => {
    const objects = pageObjects(40);
    await using node = await startPageNode(objects);
    const [web] = objects.slices;
    assert.ok(web !== undefined);
    loseEndpoint(node, web);
    const page = await openPage(node, size);
    for (const [view, text] of views) {
      await goTo(page, view, text);
      assert.equal(await overflow(page), 0, view);
      assert.deepEqual(await violations(page), [], view);
    }
    await page.close();
  });

test('the keyboard alone reaches a Service, opens it and comes back to it', async () => {
  await using node = await startPageNode(pageObjects(40));
  const page = await openPage(node, { width: 1_600 });
  await page.getByRole('button', { name: 'Name' }).click();
  await page.getByRole('searchbox').focus();
  const focused = (): Promise<string> => page.evaluate('document.activeElement.textContent');
  const press = async (key: string, times = 1): Promise<void> => {
    for (let time = 0; time < times; time += 1) await page.keyboard.press(key);
  };
  const expectFocus = (on: RegExp): Promise<void> =>
    eventually(async () => assert.match(await focused(), on));
  await press('End');
  while (!(await focused()).startsWith('kube-system/dns')) await press('Tab');
  await press('End');
  await expectFocus(/^shop\/web/);
  await press('ArrowUp', 2);
  await expectFocus(/^shop\/cart/);
  await press('Enter');
  await page.getByText('are in the kernel as desired').waitFor();
  await expectFocus(/^shop\/cart$/);
  await press('Escape');
  await expectFocus(/^shop\/cart./);
  assert.equal(await page.locator('#detail').isVisible(), false);
  await page.close();
});

test('10,000 Services: few rows exist, the end is reached, and a filter finds one', async () => {
  await using node = await startPageNode(pageObjects(10_000));
  const page = await openPage(node, { width: 1_600 });
  assert.equal(await page.locator('#count').textContent(), '10000');
  await page.getByRole('button', { name: 'Name' }).click();
  assert.equal((await shownKeys(page))[0], 'kube-system/dns');
  assert.ok((await shownKeys(page)).length < 60);
  await page.evaluate(`document.querySelector('.scroller').scrollTop = 1e9`);
  await eventually(async () => assert.equal((await shownKeys(page)).at(-1), 'shop/web'));
  assert.ok((await shownKeys(page)).length < 60);
  await page.getByRole('searchbox').fill('svc-07777');
  await eventually(async () => assert.deepEqual(await shownKeys(page), ['load/svc-07777']));
  await page.close();
});

test('charts and numbers follow the stream; a closed page ends the sampler', async () => {
  await using node = await startPageNode(pageObjects(10));
  const page = await openPage(node, { width: 1_000 });
  const line = (): Promise<string | null> => page.locator('#totals .line').first().getAttribute('d');
  const before = await line();
  await eventually(async () => assert.notEqual(await line(), before));
  assert.equal(node.reads.open, 1);
  await page.close();
  await eventually(() => assert.equal(node.reads.open, 0));
});
