<?php

declare(strict_types=1);

namespace Pusherc\Tests;

use Pusherc\Library;
use Pusherc\Server;

/** How the library is found, and the one sentence if it is not, or does not fit. */
final class LibraryTest extends TestCase
{
    private string $before;

    protected function setUp(): void
    {
        $this->before = (string) getenv('PUSHERC_LIBRARY');
    }

    protected function tearDown(): void
    {
        putenv("PUSHERC_LIBRARY=$this->before");
        parent::tearDown();
    }

    public function testTheEnvironmentGoesBeforeTheArgumentAndThatBeforeTheLinker(): void
    {
        $this->assertSame($this->before, Library::path('/other.so'));
        putenv('PUSHERC_LIBRARY');
        $this->assertSame('/other.so', Library::path('/other.so'));
        $this->assertSame('libpusherc.so.0', Library::path());
        $this->assertSame(Library::load($this->before), Library::load($this->before));
    }

    public function testALibraryThatIsNotThere(): void
    {
        putenv('PUSHERC_LIBRARY');
        $error = $this->assertError('ENOSYS', fn () => new Server(library: '/nowhere/libpusherc.so'));
        $this->assertStringStartsWith('/nowhere/libpusherc.so cannot be loaded: install libpusherc, or say in PUSHERC_LIBRARY', $error->getMessage());
    }

    /** @return array<string, array{int, string, ?string}> */
    public static function versions(): array
    {
        return [
            'another minor version before 1.0' => [0x000200, '0.2.0', 'is version 0.2.0, and this package needs 0.1.0'],
            'the first one' => [0x010000, '1.0.0', 'is version 1.0.0'],
            'an older one' => [0x000000, '0.0.9', 'is version 0.0.9'],
            'a later patch' => [0x000105, '0.1.5', null],
        ];
    }

    /** @dataProvider versions */
    #[\PHPUnit\Framework\Attributes\DataProvider('versions')]
    public function testTheVersionHasToFit(int $number, string $text, ?string $sentence): void
    {
        $file = sys_get_temp_dir() . '/pusherc-' . getmypid() . "-$number.so";
        $code = "unsigned pusherc_version(void){return $number;} const char *pusherc_version_string(void){return \"$text\";}";
        exec('printf %s ' . escapeshellarg($code) . ' | cc -shared -x c -o ' . escapeshellarg($file) . ' -', $output, $status);
        $this->assertSame(0, $status);
        putenv("PUSHERC_LIBRARY=$file");
        try {
            Library::load();
        } catch (\Pusherc\Exception $error) {
            $this->assertStringContainsString((string) $sentence, $error->getMessage());
            $this->assertSame('ENOSYS', $error->name);
        } catch (\FFI\Exception $error) {
            // It fits: what is missing are the functions, in this one.
            $this->assertNull($sentence);
        } finally {
            unlink($file);
        }
    }

    public function testWhereFfiIsNotAllowedOneSentenceSaysSo(): void
    {
        [$status, $output] = $this->script('new Server();', null, ['-d', 'ffi.enable=false']);
        $this->assertSame(255, $status);
        $this->assertStringContainsString('this PHP allows FFI on the command line only', $output);
    }

    public function testErrorsHaveTheirNameInC(): void
    {
        $error = new \Pusherc\Exception(-20014);
        $this->assertSame(['EBACKLOG', -20014, 'an internal queue is full; try later (EBACKLOG)'], [$error->name, $error->getCode(), $error->getMessage()]);
        foreach (\Pusherc\Constants::ERRORS as $code => [$name, $text]) {
            $this->assertSame([$name, $text], [Library::load()->pusherc_err_name($code), Library::load()->pusherc_strerror($code)]);
        }
    }
}
