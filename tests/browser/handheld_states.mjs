// When things are not as one would wish: nobody enrolled yet, no signal for a while, a card that is full.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { axe, closePage, fits, shot, startBrowser, targets } from './lib.mjs';
import { agent, answersOf, county, fillIn, handheld, root, run, serve, settled } from './handheld.mjs';

let browser, x, page;
before(async () => {
    browser = await startBrowser();
    x = await county({ enrol: false });
});
after(async () => {
    await browser.close();
    await x.stop();
});
const look = async (name) => {
    await page.waitForTimeout(250);
    await axe(page, name);
    await fits(page, name);
    await targets(page, name, 48);
    await shot(page, `handheld-${name}`);
};
const press = (name) => page.getByRole('button', { name, exact: true }).first().click();

test('a new handheld joins its county by a typed code, and the list comes down', async () => {
    const a = await serve(x);
    page = await handheld(browser, a, { expected: [/4\d\d|5\d\d/] });
    await page.getByText('这台机器上还没有农户').first().waitFor();
    await look('empty');
    await press('加入县里');
    const ticket = x.ticket('陈倩');
    await page.getByLabel('县里的网址').fill(`http://127.0.0.1:${x.port}`);
    await page.getByLabel('登记码').fill(ticket.token);
    await press('下一题');
    await page.waitForSelector('#print');
    assert.equal(
        (await page.locator('#print').innerText()).replace(/\s/g, ''),
        ticket.fingerprint.replace(/\s/g, ''),
    );
    await look('fingerprint');
    await press('一样，加入');
    await page.getByText(/已加入 临河县（虚构）：陈倩/).waitFor();
    await press('回今日');
    for (let i = 0; i < 40 && !(await page.locator('.rows a').count()); i++) {
        await page.waitForTimeout(300);
        await page.goto(a.origin + '/#/sync');
        await page.waitForTimeout(100);
        await page.goto(a.origin + '/#/');
        await page.waitForTimeout(100);
    }
    assert.ok((await page.locator('.rows a').count()) > 5, 'the households came down');
    await closePage(page);
    await a.stop();
});

test('without signal a visit is finished, waits, and goes by itself', async () => {
    await x.stopCentre();
    const a = await serve(x);
    page = await handheld(browser, a);
    await page.waitForSelector('.rows a');
    await page.getByRole('link', { name: /田大米/ }).click();
    await page.click('#start');
    await fillIn(page, answersOf(path.join(root, 'examples/answers/calm.tsv')));
    await page.click('#go');
    await page.locator('.choice').nth(2).click();
    await page.click('#go');
    await page.waitForSelector('.finding, .card');
    assert.ok(
        !/绿|安全[^感]|没有风险(?!。)/.test(
            (await page.locator('main').innerText()).replace(/不等于没有风险/g, ''),
        ),
        'nothing is called safe',
    );
    await look('findings-calm');
    await page.click('#go');
    await page.waitForSelector('#receipt');
    await look('receipt-waiting');
    await press('回今日');
    await page.getByText(/待发 1 件/).waitFor();
    await look('today-waiting');
    await press('发送');
    await page.getByText('没连上县里').waitFor({ timeout: 30000 });
    await look('sync-offline');
    await x.startCentre();
    await press('发送');
    await page.getByText(/县里已签收 [1-9]/).waitFor({ timeout: 60000 });
    assert.equal(x.status().submissions, 1);
    await closePage(page);
    await a.stop();
});

test('a full card: the answer stays on the screen, is not called saved, and is saved when there is room', async (t) => {
    const card = path.join(x.work, 'small'),
        data = path.join(card, 'hand'),
        filler = path.join(card, 'other');
    mkdirSync(card);
    try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', card], { stdio: 'ignore' });
    } catch (e) {
        t.skip('mounting is not allowed here');
        return;
    }
    try {
        const ticket = x.ticket('王五');
        run(
            agent,
            'enrol',
            ticket.token,
            '--centre',
            `http://127.0.0.1:${x.port}`,
            '--root',
            ticket.fingerprint,
            '--data',
            data,
        );
        run(agent, 'sync', '--data', data);
        const a = await serve(x, { data, sync: false });
        page = await handheld(browser, a, { expected: [/5\d\d/] });
        await page.waitForSelector('.rows a');
        await page.getByRole('link', { name: /麦远山/ }).click();
        await page.click('#start');
        await page.waitForSelector('.choice');
        execFileSync('sh', ['-c', `dd if=/dev/zero of=${filler} bs=4096 2>/dev/null || true`]);
        let failed = false;
        for (let i = 0; i < 12 && !failed; i++) {
            await page
                .locator('.choice')
                .nth(i % 5)
                .click();
            await settled(page);
            failed = (await page.getByText('没存上').count()) > 0;
        }
        assert.ok(failed, 'a full card is told');
        assert.ok(!/已存/.test(await page.locator('#state').innerText()), 'nothing is called saved');
        assert.equal(
            await page.locator('.choice input:checked').count(),
            1,
            'the answer is still on the screen',
        );
        await look('full');
        rmSync(filler);
        await press('再存一次');
        await settled(page);
        await page.waitForFunction(() => /已存/.test(document.getElementById('state').textContent));
        assert.equal(await page.getByText('没存上').count(), 0);
        await closePage(page);
        await a.stop();
    } finally {
        execFileSync('umount', ['-l', card]);
    }
});
