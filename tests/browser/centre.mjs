// The centre's screens, driven through a real centre with visits of real handhelds (tests/browser/centre sets
// it up). Every page in both languages under axe-core; the narrow and the wide end; a clerk's day by keyboard;
// acts with and without script; what the wrong role sees; hostile text; paper.
import { after, before, test } from 'node:test';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { assert, axe, closePage, fits, focused, openPage, shot, startBrowser, tabTo, targets } from './lib.mjs';

const origin = process.env.CENTRE_URL;
const work = process.env.CENTRE_WORK;
const password = 'Kessel 93 Ampel';
const all = ['/', '/work', '/work?q=due', '/work?q=leads', '/work?q=conflicts', '/work?q=quarantine', '/households',
    '/households?level=red', '/households?q=H000', '/households?q=nobody', '/households/H0001', '/households/H0002',
    '/households/H0001?tab=people', '/households/H0001?tab=answers', '/households/H0002?tab=leads',
    '/households/H0001?tab=history', '/households/H0001?tab=files', '/households/H0001?tab=audit', '/conflicts',
    '/leads', '/devices', '/people', '/audit', '/audit?verify=1', '/publish', '/import', '/export', '/map',
    '/print/card/H0001', '/print/notice', '/households/H0901', '/households/H0902'];

let browser;
before(async () => { browser = await startBrowser(); });
after(async () => { await browser?.close(); });

async function signedIn(who, o = {}) {
    const page = await openPage(browser, { origin, ...o });
    await page.goto('/login');
    await page.fill('[name=name]', who);
    await page.fill('[name=password]', password);
    await page.click('main button.main');
    await page.waitForLoadState();
    assert.ok(!page.url().includes('/login'), `${who} is signed in`);
    return page;
}

for (const [language, theme] of [['zh-CN', 'light'], ['en-GB', 'dark']]) {
    test(`every page under axe-core, ${language}, ${theme}`, async () => {
        const page = await signedIn('county', { language, theme });
        for (const path of all) {
            const reply = await page.goto(path);
            assert.equal(reply.status(), 200, path);
            assert.equal(await page.locator('h1').count(), 1, `${path} has one h1`);
            await axe(page, `${path} ${language} ${theme}`);
            await targets(page, `${path} ${language}`, 36);
            await fits(page, `${path} ${language} at 1280`);
        }
        await closePage(page);
    });
}

test('at 360 px, in English, and with doubled text nothing is cut and the menu opens without script', async () => {
    const page = await signedIn('county', { width: 360, language: 'en-GB', script: false, coarse: true });
    for (const path of all) {
        await page.goto(path);
        await fits(page, `${path} at 360`).catch((e) => { throw e; });
    }
    await page.goto('/');
    assert.equal(await page.locator('nav#nav').isVisible(), false);
    await page.locator('header a.menu-link').click();
    assert.equal(await page.locator('nav#nav').isVisible(), true);
    await closePage(page);
});

test('the sun theme is chosen and kept without script', async () => {
    const page = await signedIn('county', { script: false });
    await page.getByRole('button', { name: '强光' }).click();
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'sun');
    await page.goto('/households');
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'sun');
    await page.getByRole('button', { name: 'English' }).click();
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    await closePage(page);
});

test('whoever is not signed in gets the sign-in page, and a wrong password says one thing only', async () => {
    const page = await openPage(browser, { origin });
    await page.goto('/households/H0001');
    assert.match(page.url(), /\/login\?next=/);
    await page.fill('[name=name]', 'county');
    await page.fill('[name=password]', 'not the password');
    await page.click('main button.main');
    await page.getByRole('alert').waitFor();
    await axe(page, 'sign-in after a wrong password');
    await shot(page, 'centre-sign-in');
    await page.fill('[name=name]', 'county');
    await page.fill('[name=password]', password);
    await page.click('main button.main');
    assert.match(page.url(), /\/households\/H0001$/, 'and comes back to what was wanted');
    await closePage(page);
});

test('a role that may not sees why, and the attempt is in the audit', async () => {
    const page = await signedIn('analyst', { expected: [/403/] });
    assert.equal(await page.locator('nav#nav a').filter({ hasText: '住户' }).count(), 0, 'not in the menu');
    const reply = await page.goto('/households/H0001');
    assert.equal(reply.status(), 403);
    assert.match(await page.locator('h1').textContent(), /没有这一项的权限/);
    assert.ok(!(await page.content()).includes('田大米'));
    await axe(page, '403');
    await closePage(page);
    const county = await signedIn('county');
    await county.goto('/audit?what=refused');
    await county.getByRole('cell', { name: '陈析' }).first().waitFor();
    await closePage(county);
});

test('somebody of another township does not find the household', async () => {
    const page = await signedIn('township', { expected: [/404/] });
    assert.equal((await page.goto('/households/H0002')).status(), 404);
    assert.equal((await page.goto('/households/H0001')).status(), 200);
    await page.goto('/households');
    assert.ok(!(await page.content()).includes('麦远山'));
    await closePage(page);
});

test('hidden numbers are shown on request, noted, and hidden again on leaving', async () => {
    const page = await signedIn('county');
    await page.goto('/households/H0001');
    assert.ok(!(await page.content()).includes('13800010001'), 'masked at first');
    assert.match(await page.locator('dl.facts').first().textContent(), /138\*\*\*\*0001/);
    await page.getByRole('button', { name: '显示证件号' }).click();
    assert.ok((await page.content()).includes('13800010001'));
    await page.goto('/households');
    await page.goto('/households/H0001?tab=audit');
    await page.getByRole('cell', { name: 'numbers-shown' }).first().waitFor();
    assert.ok(!(await page.content()).includes('13800010001'));
    await closePage(page);
});

test('hostile names are text everywhere', async () => {
    const page = await signedIn('county');
    for (const path of ['/households', '/households/H0901', '/print/card/H0901', '/households?q=%3Cscript%3E',
        '/audit?who=%22%3E%3Cb%3E', '/households?level=%3Cimg%20src%3Dx%3E']) {
        await page.goto(path);
        assert.equal(await page.locator('main script, main b, main img').count(), 0, path);
    }
    await page.goto('/households/H0901');
    assert.match(await page.locator('h1').textContent(), /<script>alert\(1\)<\/script> & "Söhne"/);
    await page.locator('[data-find]').fill('<script');
    await page.locator('#found a').first().waitFor();
    assert.match(await page.locator('#found a').first().textContent(), /<script>/);
    await closePage(page);
});

test('a clerk finds a household by keyboard alone', async () => {
    const page = await signedIn('county');
    await page.keyboard.press('/');
    await page.keyboard.type('H0002');
    await page.locator('#found a').first().waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/households\/H0002$/);
    await page.keyboard.press('g');
    await page.keyboard.press('h');
    await page.waitForURL(/\/households$/);
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    assert.match(await focused(page), /^A H0/);
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/households\/H/);
    await page.keyboard.press('?');
    await page.locator('dialog[open]').waitFor();
    await axe(page, 'the list of keys');
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('dialog[open]').count(), 0);
    await page.goto('/households');
    await page.keyboard.press('Tab');
    assert.match(await focused(page), /跳到正文/);
    await tabTo(page, 'main a.row');
    await closePage(page);
});

test('a dispute is decided with three keys and a reason', async () => {
    const page = await signedIn('county');
    await page.keyboard.press('g');
    await page.keyboard.press('c');
    await page.waitForURL(/\/conflicts$/);
    await page.locator('fieldset.choices').waitFor();
    await shot(page, 'centre-conflict');
    const values = await page.locator('.choice .value').allTextContents();
    assert.deepEqual(values.map((v) => v.trim()).sort(), ['4800', '5200']);
    await page.keyboard.press('2');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'reason');
    await page.keyboard.type('入户时看到工资条');
    await page.keyboard.press('Enter');
    await page.waitForURL(/done=decided/);
    await page.getByText('没有冲突要定。').waitFor();
    await page.goto('/households/H0001?tab=history');
    await page.getByText('裁定').first().waitFor();
    await closePage(page);
});

test('village, township and county decide one after the other; a return needs a reason', async () => {
    const village = await signedIn('cadre', { expected: [/409/] });
    await village.goto('/households/H0001');
    await village.getByRole('button', { name: '退回' }).click();
    await village.getByRole('alert').first().waitFor();
    await village.goto('/households/H0001');
    await village.keyboard.press('a');
    await village.waitForURL(/done=approved/);
    await closePage(village);
    const township = await signedIn('township', { script: false });
    await township.goto('/work');
    await township.locator('input[type=checkbox][name=visit]').first().check();
    await shot(township, 'centre-work');
    await township.getByRole('button', { name: '同意打勾的' }).click();
    await township.getByRole('status').first().waitFor();
    await closePage(township);
    const county = await signedIn('county');
    await county.goto('/households/H0001');
    await county.locator('textarea[name=comment]').fill('请补工资条的照片');
    await county.getByRole('button', { name: '退回' }).click();
    await county.waitForURL(/done=returned/);
    await county.getByText('请补工资条的照片').first().waitFor();
    await county.goto('/work?q=rejected');
    await county.getByRole('link', { name: '田大米' }).waitFor();
    await closePage(county);
});

test('a report from the public page waits for a clerk, who says whose it is; a call is noted at once', async () => {
    const public_ = await openPage(browser, { origin, width: 360, script: false, coarse: true });
    await public_.goto('/report');
    await fits(public_, 'the public page at 360');
    await public_.fill('[name=name]', '麦远山家的');
    await public_.fill('[name=phone]', '13800019999');
    await public_.locator('[name=kind]').first().check();
    await public_.fill('[name=words]', '<i>摔断了腿</i>');
    await public_.click('main button.main');
    await public_.getByRole('status').waitFor();
    await closePage(public_);
    const page = await signedIn('county');
    await page.goto('/leads');
    assert.match(await page.locator('main').textContent(), /<i>摔断了腿<\/i>/);
    await axe(page, 'leads with a report');
    await page.locator('fieldset [name=code]').fill('H0002');
    await page.getByRole('button', { name: '对上这一户' }).click();
    await page.getByText('没有等着对户的申报。').waitFor();
    await page.locator('[name=code]').fill('H0003');
    await page.locator('[name=words]').fill('打电话说没活干了');
    await page.getByRole('button', { name: '登记线索' }).click();
    await page.getByText(/线索 \d+ 号/).waitFor();
    await page.locator('main a.row').first().click();
    await page.waitForURL(/lead=/);
    await axe(page, 'one lead');
    await fits(page, 'one lead');
    await shot(page, 'centre-lead');
    await page.locator('summary').filter({ hasText: '消除风险' }).click();
    await page.locator('[name=spending]').check();
    page.problems.length = 0;
    await page.getByRole('button', { name: '消除风险' }).click();
    await page.getByRole('alert').waitFor();
    page.problems.length = 0;
    await closePage(page);
});

test('a register is imported in three steps, and nothing is written before the last', async () => {
    const page = await signedIn('county', { script: false });
    const file = `${work}/register.csv`;
    writeFileSync(file, '户号,地区码,户主,电话\nH0801,990101001201,导入一,13800018801\n' +
        'H0802,,没有地区,\nH0803,990101001202,导入三,\n');
    await page.goto('/import');
    await page.setInputFiles('[name=file]', file);
    await page.click('main button.main');
    await page.selectOption('[name=col0]', 'code');
    await page.selectOption('[name=col1]', 'area');
    await page.selectOption('[name=col2]', 'name');
    await page.selectOption('[name=col3]', 'phone');
    await page.click('main button.main');
    await page.getByText('什么都还没写进去').waitFor();
    assert.deepEqual((await page.locator('tbody td').allTextContents()).map((t) => t.trim()).slice(0, 2), ['3', '地区码']);
    await shot(page, 'centre-import');
    await fits(page, 'the dry run');
    assert.equal((await page.context().request.get('/households.json?q=H0801')).status(), 200);
    assert.equal((await (await page.context().request.get('/households.json?q=H0801')).json()).households.length, 0);
    await page.getByRole('button', { name: '只导入没错的' }).click();
    await page.getByText(/导入了/).waitFor();
    const found = await (await page.context().request.get('/households.json?q=H080')).json();
    assert.deepEqual(found.households.map((h) => h.code), ['H0801', 'H0803']);
    await page.goto('/import');
    await page.setInputFiles('[name=file]', file);
    await page.click('main button.main');
    assert.equal(await page.locator('[name=col2]').inputValue(), 'name', 'the mapping is remembered');
    await closePage(page);
});

test('a new version of the form is compared in words before it is published', async () => {
    const page = await signedIn('county', { expected: [/409/] });
    const form = readFileSync('examples/monitoring.xform.xml', 'utf8');
    const changed = form.replace(/version="2026\.1"/, 'version="2026.2"').replace(/干活时每个月大约挣多少/g, '每个月工资大约多少');
    assert.notEqual(changed, form);
    const file = `${work}/monitoring.xform.xml`;
    writeFileSync(file, changed);
    await page.goto('/publish');
    await page.setInputFiles('[name=file]', file);
    await page.click('main button.main');
    await page.getByText('和正在用的相比').waitFor();
    assert.ok(await page.locator('ul.diff li').count() >= 1);
    await axe(page, 'a compared form');
    await shot(page, 'centre-publish');
    await page.getByRole('button', { name: '发布' }).click();
    await page.waitForURL(/done=published/);
    await page.getByRole('cell', { name: '2026.2' }).waitFor();
    await page.getByRole('button', { name: '换回上一版' }).waitFor();
    writeFileSync(file, '<h:html><broken>');
    await page.setInputFiles('[name=file]', file);
    await page.click('main button.main');
    await page.getByRole('alert').waitFor();
    await closePage(page);
});

test('a code to enrol is shown once, with its QR; a handheld is stopped only by typing its number', async () => {
    const page = await signedIn('county', { expected: [/409/] });
    await page.goto('/devices');
    await page.fill('[name=person]', '新来的');
    await page.getByRole('button', { name: '出码' }).click();
    await page.locator('.qr svg').waitFor();
    await axe(page, 'an enrolment code');
    await page.goto('/devices');
    assert.equal(await page.locator('.qr').count(), 0);
    await page.locator('summary').first().click();
    await page.locator('[name=typed]').first().fill('0000x');
    await page.getByRole('button', { name: '停用' }).first().click();
    await page.getByRole('alert').waitFor();
    const id = (await page.locator('td.code').first().textContent()).trim();
    await page.locator('summary').first().click();
    await page.locator('[name=typed]').first().fill(id.slice(-4));
    await page.getByRole('button', { name: '停用' }).first().click();
    await page.waitForURL(/done=revoked/);
    await closePage(page);
});

test('a person is added and can sign in; the end of the work ends the session', async () => {
    const admin = await signedIn('admin');
    await admin.goto('/people');
    await admin.fill('main form [name=name]', '新县员');
    await admin.fill('main form [name=login]', 'newclerk');
    await admin.selectOption('main form [name=role]', 'county');
    await admin.locator('main form').last().locator('[name=password]').fill(password);
    await admin.getByRole('button', { name: '加上' }).click();
    await admin.waitForURL(/done=done/);
    const clerk = await signedIn('newclerk');
    const row = admin.locator('tr').filter({ hasText: 'newclerk' });
    await row.locator('summary').click();
    await row.getByRole('button', { name: '结束工作' }).click();
    await admin.waitForURL(/done=done/);
    await clerk.goto('/households');
    assert.match(clerk.url(), /\/login/);
    await closePage(clerk);
    await closePage(admin);
});

test('a table is exported, and each download is in the audit', async () => {
    const page = await signedIn('county');
    await page.goto('/export');
    const [download] = await Promise.all([page.waitForEvent('download'),
        page.getByRole('button', { name: '下载' }).first().click()]);
    const text = readFileSync(await download.path(), 'utf8');
    assert.match(text, /^SubmissionDate,/);
    assert.ok(text.split('\n').length >= 4);
    await page.goto('/audit?what=exported');
    await page.getByRole('cell', { name: /csv household_monitoring/ }).waitFor();
    await closePage(page);
});

test('the notice says five things and nothing else', async () => {
    const page = await signedIn('county');
    writeFileSync(`${work}/one.csv`, 'code,area,name,address,phone\nH0701,990101001201,公示户,' +
        '禾塘村 4 组 身份证 110101201501011234 电话 13800017701 患癌,13800017701\n');
    execFileSync(`${process.env.CENTRE_BIN}/doorstepd`,
        ['import', process.env.CENTRE_DIR, 'households', `${work}/one.csv`]);
    await page.goto('/leads');
    await page.locator('[name=code]').fill('H0701');
    await page.locator('[name=words]').fill('儿子小宝 2015 年生，患癌，账号 6222020200112233445');
    await page.getByRole('button', { name: '登记线索' }).click();
    const number = (await page.getByText(/线索 \d+ 号/).textContent()).match(/(\d+) 号/)[1];
    const people = { county: page, township: await signedIn('township'), cadre: await signedIn('cadre') };
    for (const step of ['forward', 'visit', 'compare', 'notice']) {
        let noted = false;
        for (const by of Object.values(people)) {
            await by.goto(`/leads?lead=${number}`);
            if (noted || !await by.locator(`[name=step] option[value=${step}]`).count()) continue;
            await by.selectOption('[name=step]', step);
            await by.getByRole('button', { name: '记下这一步' }).click();
            await by.getByText('记好了。').waitFor();
            noted = true;
        }
        assert.ok(noted, `somebody notes the step ${step}`);
    }
    await closePage(people.township);
    await closePage(people.cadre);
    await page.goto('/print/notice?village=990101001201&from=2026-12-01&to=2026-12-03');
    await page.getByText('公示不能少于 5 天。').waitFor();
    await page.goto('/print/notice?village=990101001201&from=2026-12-01&to=2026-12-08');
    const text = await page.locator('main').textContent();
    assert.match(text, /公示户/);
    for (const secret of ['110101201501011234', '13800017701', '患癌', '小宝', '6222020200112233445', 'H0701']) {
        assert.ok(!text.includes(secret), secret);
    }
    assert.deepEqual((await page.locator('tbody td').allTextContents()).map((t) => t.trim()), ['公示户', '4', '—', '—']);
    await axe(page, 'the notice');
    await page.emulateMedia({ media: 'print' });
    await shot(page, 'centre-notice');
    await closePage(page);
});

test('pictures for the pages that describe the product', { skip: !process.env.DOORSTEP_SCREENS }, async () => {
    const page = await signedIn('county', { height: 900 });
    const pictures = [['/', 'overview'], ['/households', 'households'], ['/households/H0002', 'household'],
        ['/households/H0002?tab=answers', 'answers'], ['/households/H0001?tab=history', 'history'], ['/leads', 'leads'],
        ['/map', 'map'], ['/devices', 'devices'], ['/people', 'people'], ['/audit?verify=1', 'audit'],
        ['/print/card/H0001', 'card']];
    for (const [path, name] of pictures) {
        await page.goto(path);
        await shot(page, `centre-${name}`);
    }
    await closePage(page);
    const english = await signedIn('county', { height: 900, language: 'en-GB', theme: 'dark' });
    await english.goto('/');
    await shot(english, 'centre-overview-en');
    await closePage(english);
    const narrow = await signedIn('county', { width: 360, height: 720, coarse: true });
    await narrow.goto('/');
    await shot(narrow, 'centre-overview-360');
    await closePage(narrow);
});
